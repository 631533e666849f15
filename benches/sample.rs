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
