//! Vectors in 12 bits a dimension, in two parts.

/// The greatest coarse value.
const COARSE: f32 = 127.0;
/// Fine steps to a coarse one.
const FINE: f32 = 16.0;
/// The length of a query in whole numbers. A row's coarse part is at most 127 · √4096 long, so a product is at
/// most 2^28, and so is each sum on the way to it.
const QUERY: f32 = 32767.0;

/// One vector: each value is `scale · (coarse + fine / 16)`.
pub(super) struct Row<'a> {
    pub(super) scale: f32,
    pub(super) coarse: &'a [i8],
    /// Two to a byte, from -8 to 7, the first in the low half.
    pub(super) fine: &'a [u8],
}

impl Row<'_> {
    /// The vector, as far as it was kept.
    pub(super) fn values(&self) -> Vec<f32> {
        self.steps().map(|value| value * self.scale).collect()
    }

    fn steps(&self) -> impl Iterator<Item = f32> {
        let fine = self.fine.iter().flat_map(|byte| [((*byte << 4) as i8) >> 4, (*byte as i8) >> 4]);
        self.coarse.iter().zip(fine).map(|(coarse, fine)| f32::from(*coarse) + f32::from(fine) / FINE)
    }
}

/// Adds the parts of a vector, brought to length 1, and returns its scale.
pub(super) fn push(vector: &[f32], coarse: &mut Vec<i8>, fine: &mut Vec<u8>) -> f32 {
    let values = unit(vector);
    let greatest = values.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
    let scale = greatest / COARSE;
    let steps = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let split = |value: f32| {
        let whole = (value * steps).round().clamp(-COARSE, COARSE);
        let part = ((value * steps - whole) * FINE).round().clamp(-8.0, 7.0);
        (whole as i8, part as i8)
    };
    for pair in values.chunks(2) {
        let (whole, low) = split(pair[0]);
        coarse.push(whole);
        let high = pair.get(1).map_or(0, |value| {
            let (whole, high) = split(*value);
            coarse.push(whole);
            high
        });
        fine.push((low as u8 & 0xf) | ((high as u8) << 4));
    }
    scale
}

/// A query in whole numbers for the scan, and as it is for the scores.
pub(super) struct Query {
    whole: Vec<i16>,
    exact: Vec<f32>,
}

impl Query {
    pub(super) fn new(vector: &[f32]) -> Self {
        let exact = unit(vector);
        let whole = exact.iter().map(|value| (value * QUERY).round() as i16).collect();
        Self { whole, exact }
    }

    /// The cosine with the coarse part of a row. The compiler makes vector instructions of this loop as it
    /// stands: sixteen-bit products added to 32-bit sums.
    pub(super) fn coarse_score(&self, coarse: &[i8], scale: f32) -> f32 {
        let product: i32 =
            self.whole.iter().zip(coarse).map(|(left, right)| i32::from(*left) * i32::from(*right)).sum();
        product as f32 * scale / QUERY
    }

    /// The cosine with a row.
    pub(super) fn score(&self, row: &Row) -> f32 {
        let product: f32 = self.exact.iter().zip(row.steps()).map(|(left, right)| left * right).sum();
        (product * row.scale).clamp(-1.0, 1.0)
    }
}

/// The vector at length 1; zeros stay zeros.
fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.iter().map(|value| (f64::from(*value) * scale) as f32).collect()
}
