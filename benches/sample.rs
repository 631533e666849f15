//! Statistics of repeated measurements.

use serde_json::{Value, json};

/// Measured values, in ascending order.
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// Returns the value below which this share of all values lies, or NaN if there is none.
    pub fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// The median and the quartiles.
impl From<Sample> for Value {
    fn from(sample: Sample) -> Self {
        json!([0.5, 0.25, 0.75].map(|share| sample.at(share)))
    }
}

/// Compares two series measured side by side: the ratios of their medians, block by block.
pub fn ratio(one: &[f64], other: &[f64]) -> Sample {
    const BLOCKS: usize = 20;
    let size = (one.len() / BLOCKS).max(1);
    let median = |block: &[f64]| Sample::of(block.to_vec()).median();
    let blocks = one.chunks_exact(size).zip(other.chunks_exact(size));
    let ratios = blocks.map(|(one, other)| median(one) / median(other));
    Sample::of(ratios.collect())
}

/// Measures all subjects round by round, in alternating order, so that a change of the machine's speed affects all of them.
/// The first round only warms up.
pub fn in_turn<T>(
    rounds: usize,
    subjects: &mut [T],
    mut measure: impl FnMut(&mut T) -> f64,
) -> Vec<Sample> {
    let mut values = vec![Vec::new(); subjects.len()];
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    for round in 0..=rounds {
        for &at in &order {
            let value = measure(&mut subjects[at]);
            if round > 0 {
                values[at].push(value);
            }
        }
        order.reverse();
    }
    values.into_iter().map(Sample::of).collect()
}

/// Returns the exponent of the power law that fits points of size and time best: the slope of the line through their logarithms.
pub fn exponent(points: impl Iterator<Item = (f64, f64)>) -> f64 {
    let logarithms: Vec<(f64, f64)> = points.map(|(size, time)| (size.ln(), time.ln())).collect();
    let sum = |term: fn(&(f64, f64)) -> f64| logarithms.iter().map(term).sum::<f64>();
    let (x, y, count) = (sum(|it| it.0), sum(|it| it.1), sum(|_| 1.0));
    (count * sum(|it| it.0 * it.1) - x * y) / (count * sum(|it| it.0 * it.0) - x * x)
}
