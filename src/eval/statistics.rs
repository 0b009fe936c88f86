//! Shares of problems solved, and means: how sure they are, and whether two of them differ.
//!
//! Called by the benchmarks that execute programs or compare texts. A share without its interval says nothing: of 100
//! problems half solved, 40 to 60 are within chance.

/// The standard normal's quantile for intervals that hold 95 times in 100.
const Z: f64 = 1.959_963_984_540_054;

/// An interval in which a figure lies with 95 % confidence.
pub type Interval = [f64; 2];

/// How two candidates did on the same problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paired {
    /// Both passed.
    pub both: u32,
    /// The first alone.
    pub only_a: u32,
    /// The second alone.
    pub only_b: u32,
    /// Neither.
    pub neither: u32,
}

impl Paired {
    /// Counts pairs of whether the first and the second passed.
    pub fn of(passed: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counted = Self::default();
        for pair in passed {
            *match pair {
                (true, true) => &mut counted.both,
                (true, false) => &mut counted.only_a,
                (false, true) => &mut counted.only_b,
                (false, false) => &mut counted.neither,
            } += 1;
        }
        counted
    }

    /// Problems.
    pub const fn problems(&self) -> u32 {
        self.both + self.only_a + self.only_b + self.neither
    }

    /// The second's share less the first's; 0 without problems.
    pub fn difference(&self) -> f64 {
        let more = f64::from(self.only_b) - f64::from(self.only_a);
        more / f64::from(self.problems()).max(1.0)
    }

    /// How likely so uneven a split of the problems that one alone passed is, if both were equally
    /// good: `McNemar`'s test, exact, two-sided.
    pub fn p_value(&self) -> f64 {
        let (n, least) = (self.only_a + self.only_b, self.only_a.min(self.only_b));
        // In logarithms: of some thousand problems, half to that power is no double any more.
        let mut term = f64::from(n) * 0.5_f64.ln();
        let mut sum = 0.0;
        for k in 0..=least {
            sum += term.exp();
            term += (f64::from(n - k) / f64::from(k + 1)).ln();
        }
        (2.0 * sum).min(1.0)
    }

    /// The interval of [`Paired::difference`]: Newcombe 1998, "Improved confidence intervals for the
    /// difference between binomial proportions based on paired data", method 10. It is sensible for
    /// few and for lopsided problems too.
    pub fn interval(&self) -> Interval {
        let n = f64::from(self.problems());
        if n == 0.0 {
            return [-1.0, 1.0];
        }
        let (a, b) = (self.both + self.only_a, self.both + self.only_b);
        let (share_a, share_b) = (f64::from(a) / n, f64::from(b) / n);
        let [low_a, high_a] = wilson(a, self.problems());
        let [low_b, high_b] = wilson(b, self.problems());
        let phi = self.correlation();
        let (down_b, up_b) = (share_b - low_b, high_b - share_b);
        let (down_a, up_a) = (share_a - low_a, high_a - share_a);
        let reach = |b: f64, a: f64| (b * b - 2.0 * phi * b * a + a * a).max(0.0).sqrt();
        let difference = self.difference();
        [
            difference - reach(down_b, up_a),
            difference + reach(up_b, down_a),
        ]
    }

    /// How alike the candidates are in what they pass, corrected for continuity as in method 10.
    fn correlation(&self) -> f64 {
        let [both, only_a, only_b, neither] =
            [self.both, self.only_a, self.only_b, self.neither].map(f64::from);
        let margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither);
        if margins == 0.0 {
            return 0.0;
        }
        let excess = both * neither - only_a * only_b;
        let corrected = if excess > 0.0 {
            (excess - f64::from(self.problems()) / 2.0).max(0.0)
        } else {
            excess
        };
        corrected / margins.sqrt()
    }
}

/// The interval of a share, `passed` of `problems`: Wilson 1927.
pub fn wilson(passed: u32, problems: u32) -> Interval {
    if problems == 0 {
        return [0.0, 1.0];
    }
    let n = f64::from(problems);
    let share = f64::from(passed) / n;
    let shrink = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / shrink;
    let half = Z / shrink * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}

/// The interval of a mean of many values, by their spread; `None` of fewer than two, which have none.
pub fn mean_interval(values: &[f64]) -> Option<Interval> {
    let n = u32::try_from(values.len()).ok().filter(|&n| n > 1)?;
    let n = f64::from(n);
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half = Z * (squares / (n - 1.0) / n).sqrt();
    Some([mean - half, mean + half])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_that_of_its_spread() {
        // Of 2, 4, 4, 4, 5, 5, 7, 9 the mean is 5 and the sum of squares 32.
        let [low, high] = mean_interval(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        near(low, 5.0 - 1.48160);
        near(high, 5.0 + 1.48160);
        let [low, high] = mean_interval(&[0.5; 3]).unwrap();
        near(low, 0.5);
        near(high, 0.5);
        assert_eq!(mean_interval(&[1.0]), None);
    }

    #[track_caller]
    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 5e-5, "{got} is not {expected}");
    }

    /// Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    #[test]
    fn intervals_of_shares_are_the_published_ones() {
        for (passed, problems, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let [got_low, got_high] = wilson(passed, problems);
            near(got_low, low);
            near(got_high, high);
        }
        let [low, high] = wilson(0, 0);
        near(low, 0.0);
        near(high, 1.0);
    }

    /// Newcombe 1998 on paired data, method 10, of 36, 12, 2 and 0.
    #[test]
    fn intervals_of_paired_differences_are_the_published_ones() {
        let paired = Paired {
            both: 36,
            only_a: 2,
            only_b: 12,
            neither: 0,
        };
        let [low, high] = paired.interval();
        near(low, 0.0569);
        near(high, 0.3404);
        let swapped = Paired {
            only_a: 12,
            only_b: 2,
            ..paired
        };
        let [other_low, other_high] = swapped.interval();
        near(other_low, -high);
        near(other_high, -low);
        let [low, high] = Paired::default().interval();
        near(low, -1.0);
        near(high, 1.0);
    }

    #[test]
    fn a_split_by_chance_is_told_from_one_that_is_not() {
        for (only_a, only_b, expected) in [
            (0, 0, 1.0),
            (1, 1, 1.0),
            (0, 5, 0.0625),
            (0, 6, 0.03125),
            (5, 15, 0.041_389),
            (700, 700, 1.0),
        ] {
            let paired = Paired {
                both: 10,
                only_a,
                only_b,
                neither: 10,
            };
            near(paired.p_value(), expected);
        }
    }

    #[test]
    fn pairs_are_counted_and_the_difference_is_the_seconds_gain() {
        let paired = Paired::of([(true, true), (true, false), (false, true), (false, true)]);
        assert_eq!(
            paired,
            Paired {
                both: 1,
                only_a: 1,
                only_b: 2,
                neither: 0
            }
        );
        near(paired.difference(), 0.25);
    }
}
