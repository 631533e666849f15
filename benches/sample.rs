//! What repeated measurements come to.

/// Values in ascending order.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value below which this share of all lies.
    pub fn at(&self, share: f64) -> f64 {
        match self.0.len() {
            0 => f64::NAN,
            count => self.0[((count - 1) as f64 * share).round() as usize],
        }
    }

    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// How the first of two compares with the second: the ratios of their medians, from one block of measurements after the other.
pub fn ratio(one: &[f64], other: &[f64]) -> Sample {
    const BLOCKS: usize = 20;
    let size = (one.len() / BLOCKS).max(1);
    let median = |block: &[f64]| Sample::of(block.to_vec()).median();
    let blocks = one.chunks_exact(size).zip(other.chunks_exact(size));
    Sample::of(
        blocks
            .map(|(one, other)| median(one) / median(other))
            .collect(),
    )
}

/// So many measurements of each, in turn and every other time in the opposite order, after one of each that does not count.
pub fn in_turn<T>(
    rounds: usize,
    of: &mut [T],
    mut measure: impl FnMut(&mut T) -> f64,
) -> Vec<Sample> {
    let mut values = vec![Vec::new(); of.len()];
    for round in 0..=rounds {
        for step in 0..of.len() {
            let at = if round % 2 == 0 {
                step
            } else {
                of.len() - 1 - step
            };
            let value = measure(&mut of[at]);
            if round > 0 {
                values[at].push(value);
            }
        }
    }
    values.into_iter().map(Sample::of).collect()
}

/// With which power of the size the time grows, from a size of 1,000: the slope of the line through the logarithms.
pub fn growth(points: &[(f64, f64)]) -> f64 {
    let large = points.iter().filter(|(size, _)| *size >= 1_000.0);
    let logarithms: Vec<(f64, f64)> = large.map(|(size, time)| (size.ln(), time.ln())).collect();
    let mean =
        |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / logarithms.len() as f64;
    let x = mean(&mut logarithms.iter().map(|point| point.0));
    let y = mean(&mut logarithms.iter().map(|point| point.1));
    let together: f64 = logarithms
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    together
        / logarithms
            .iter()
            .map(|point| (point.0 - x).powi(2))
            .sum::<f64>()
}
