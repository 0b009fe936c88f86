//! Search by meaning: all vectors, exactly, a byte a number.
//!
//! Called by `corpus`. Exact, because 50,000 vectors are compared in milliseconds, and an approximate index
//! would have to be kept right through every save.
//!
//! Vectors of one model, and most of all of models made for something else, point in nearly one direction:
//! what tells texts apart is in how they differ from the mean. So the mean of what is there is taken off
//! and each number is measured by its spread before vectors are compared and rounded. Sources: Mu and
//! Viswanath, "All-but-the-Top", ICLR 2018; Timkey and van Schijndel, "All Bark and No Bite: Rogue
//! Dimensions in Transformer Language Models Obscure Representational Quality", EMNLP 2021.

use super::rank::{Ranked, best};

/// Spreads that a byte reaches from the mean; what is further is cut.
const REACH: f32 = 5.0;
/// Largest number of a query: products of it with a byte, 4096 of them, fit 32 bits.
const QUERY_MAX: f32 = 2047.0;
/// Fewer vectors tell nothing of mean and spread.
const FEWEST_TO_FIT: usize = 32;
/// The measure is taken anew when there are so many times more vectors than it was taken of.
const REFIT: usize = 4;

/// Vectors of one model by chunk.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    dims: usize,
    mean: Vec<f32>,
    spread: Vec<f32>,
    rows: Vec<i8>,
    /// By chunk, 1 over the row's length; 0 where there is none.
    inverse_lengths: Vec<f32>,
    held: usize,
    fitted_on: usize,
}

/// Mean and spread of vectors that are seen one at a time.
#[derive(Debug, Default)]
pub(super) struct Fit {
    count: usize,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Fit {
    pub(super) fn see(&mut self, vector: &[f32]) {
        self.sums.resize(vector.len(), 0.0);
        self.squares.resize(vector.len(), 0.0);
        for ((sum, square), &x) in self.sums.iter_mut().zip(&mut self.squares).zip(vector) {
            *sum += f64::from(x);
            *square += f64::from(x) * f64::from(x);
        }
        self.count += 1;
    }
}

impl Vectors {
    /// None yet, measured as `fit` says.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "statistics"
    )]
    pub(super) fn fitted(fit: &Fit) -> Self {
        let dims = fit.sums.len();
        let count = fit.count.max(1) as f64;
        if fit.count < FEWEST_TO_FIT {
            return Self {
                dims,
                mean: vec![0.0; dims],
                spread: vec![1.0 / (dims.max(1) as f32).sqrt(); dims],
                fitted_on: fit.count,
                ..Self::default()
            };
        }
        let mean: Vec<f64> = fit.sums.iter().map(|sum| sum / count).collect();
        let spread = fit.squares.iter().zip(&mean).map(|(square, mean)| {
            let variance = (square / count - mean * mean).max(0.0);
            (variance.sqrt() as f32).max(1e-6)
        });
        Self {
            dims,
            spread: spread.collect(),
            mean: mean.iter().map(|&mean| mean as f32).collect(),
            fitted_on: fit.count,
            ..Self::default()
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether mean and spread are of too few.
    pub(super) fn wants_fit(&self) -> bool {
        self.held >= FEWEST_TO_FIT && self.held >= self.fitted_on * REFIT
    }

    pub(super) fn has(&self, chunk: u32) -> bool {
        self.inverse_lengths
            .get(index(chunk))
            .is_some_and(|&inverse| inverse > 0.0)
    }

    /// Sets a chunk's vector; one of another dimension is left out.
    pub(super) fn set(&mut self, chunk: u32, vector: &[f32]) {
        if self.dims == 0 {
            let mut fit = Fit::default();
            fit.see(vector);
            *self = Self::fitted(&fit);
        }
        if vector.len() != self.dims {
            return;
        }
        let at = index(chunk);
        if self.inverse_lengths.len() <= at {
            self.inverse_lengths.resize(at + 1, 0.0);
            self.rows.resize((at + 1) * self.dims, 0);
        }
        let was_there = self.has(chunk);
        let mut squares = 0.0_f32;
        let row = self
            .rows
            .get_mut(at * self.dims..(at + 1) * self.dims)
            .unwrap_or_default();
        for (slot, ((&x, &mean), &spread)) in row
            .iter_mut()
            .zip(vector.iter().zip(&self.mean).zip(&self.spread))
        {
            let scaled = ((x - mean) / spread * (127.0 / REACH))
                .round()
                .clamp(-127.0, 127.0);
            squares += scaled * scaled;
            #[expect(clippy::cast_possible_truncation, reason = "clamped")]
            let byte = scaled as i8;
            *slot = byte;
        }
        if let Some(inverse) = self.inverse_lengths.get_mut(at) {
            // A vector that is the mean says nothing, and is there.
            *inverse = 1.0 / squares.sqrt().max(1.0);
        }
        self.held += usize::from(!was_there);
    }

    /// Gives chunk `to` the vector of `from`, if it has one.
    pub(super) fn copy(&mut self, from: u32, to: u32) {
        if !self.has(from) || self.has(to) {
            return;
        }
        let (from, to) = (index(from), index(to));
        if self.inverse_lengths.len() <= to {
            self.inverse_lengths.resize(to + 1, 0.0);
            self.rows.resize((to + 1) * self.dims, 0);
        }
        let row = from * self.dims..(from + 1) * self.dims;
        self.rows.copy_within(row, to * self.dims);
        let inverse = self.inverse_lengths.get(from).copied().unwrap_or_default();
        if let Some(slot) = self.inverse_lengths.get_mut(to) {
            *slot = inverse;
            self.held += 1;
        }
    }

    pub(super) fn remove(&mut self, chunk: u32) {
        if self.has(chunk)
            && let Some(inverse) = self.inverse_lengths.get_mut(index(chunk))
        {
            *inverse = 0.0;
            self.held -= 1;
        }
    }

    /// The `top` chunks whose vectors point where `query` does.
    pub(super) fn search(&self, query: &[f32], top: usize) -> Vec<Ranked> {
        if query.len() != self.dims || self.held == 0 {
            return Vec::new();
        }
        let measured: Vec<f32> = query
            .iter()
            .zip(&self.mean)
            .zip(&self.spread)
            .map(|((&x, &mean), &spread)| ((x - mean) / spread).clamp(-REACH, REACH))
            .collect();
        let largest = measured.iter().fold(1e-9_f32, |most, x| most.max(x.abs()));
        #[expect(clippy::cast_possible_truncation, reason = "at most QUERY_MAX")]
        let query: Vec<i16> = measured
            .iter()
            .map(|x| (x * QUERY_MAX / largest).round() as i16)
            .collect();
        let rows = self.rows.chunks_exact(self.dims.max(1));
        let scores: Vec<f32> = rows
            .zip(&self.inverse_lengths)
            .map(|(row, &inverse)| {
                if inverse > 0.0 {
                    #[expect(clippy::cast_precision_loss, reason = "a rank")]
                    let dot = dot(row, &query) as f32;
                    dot * inverse
                } else {
                    0.0
                }
            })
            .collect();
        best(&scores, top)
    }
}

/// Written so that the compiler makes vector instructions of it.
fn dot(row: &[i8], query: &[i16]) -> i32 {
    row.iter()
        .zip(query)
        .map(|(&a, &b)| i32::from(i16::from(a)) * i32::from(b))
        .sum()
}

fn index(chunk: u32) -> usize {
    usize::try_from(chunk).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(all: &[Vec<f32>]) -> Vectors {
        let mut fit = Fit::default();
        for vector in all {
            fit.see(vector);
        }
        let mut vectors = Vectors::fitted(&fit);
        for (chunk, vector) in (0..).zip(all) {
            vectors.set(chunk, vector);
        }
        vectors
    }

    /// A common direction as large as in real models, and something small that differs.
    fn with_common_direction(differing: &[f32]) -> Vec<f32> {
        std::iter::once(100.0)
            .chain(differing.iter().copied())
            .collect()
    }

    #[test]
    fn what_all_share_does_not_count() {
        let one = |at: usize| {
            let mut vector = vec![0.0; 64];
            vector[at] = 1.0;
            with_common_direction(&vector)
        };
        let all: Vec<Vec<f32>> = (0..64).map(one).collect();
        let vectors = filled(&all);
        for (chunk, vector) in (0..).zip(&all) {
            assert_eq!(vectors.search(vector, 1)[0].chunk, chunk);
        }
    }

    #[test]
    fn vectors_come_and_go() {
        let mut vectors = Vectors::default();
        assert!(vectors.search(&[1.0], 3).is_empty());
        vectors.set(3, &[1.0, 0.0]);
        vectors.set(1, &[0.0, 1.0]);
        vectors.set(1, &[0.6, 0.8]);
        vectors.set(2, &[1.0, 2.0, 3.0]);
        assert_eq!(vectors.held(), 2);
        assert_eq!(
            vectors
                .search(&[1.0, 0.1], 3)
                .iter()
                .map(|r| r.chunk)
                .collect::<Vec<_>>(),
            [3, 1]
        );
        vectors.remove(3);
        vectors.remove(3);
        assert_eq!(vectors.search(&[1.0, 0.1], 3)[0].chunk, 1);
        assert!(vectors.has(1) && !vectors.has(3) && !vectors.has(9));
        assert!(vectors.search(&[1.0], 3).is_empty(), "another dimension");
    }

    proptest! {
        #[test]
        fn rounding_keeps_the_nearest_near(seed in 0..1000_u64) {
            use rand_pcg::rand_core::{Rng as _, SeedableRng as _};
            let mut random = rand_pcg::Pcg32::seed_from_u64(seed);
            let mut number = || f32::from(i16::try_from(random.next_u32() % 2001).unwrap() - 1000) / 1000.0;
            let all: Vec<Vec<f32>> = (0..200).map(|_| (0..96).map(|_| number()).collect()).collect();
            let query: Vec<f32> = all[7].iter().map(|x| x + number() * 0.5).collect();
            prop_assert_eq!(filled(&all).search(&query, 1)[0].chunk, 7);
        }
    }
}
