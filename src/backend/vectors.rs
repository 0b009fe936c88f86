//! What every backend does to texts before and to vectors after embedding.
//!
//! Called by the backends that embed. Invariant: a vector given out has length 1.

/// The beginning of each text, at most `max_bytes` of it, and the indices of the texts that were cut.
pub(crate) fn cut(texts: &[String], max_bytes: usize) -> (Vec<&str>, Vec<usize>) {
    let cuts = texts.iter().map(|text| {
        let end = text.floor_char_boundary(max_bytes);
        text.get(..end).unwrap_or_default()
    });
    let truncated = (0..texts.len())
        .filter(|&at| texts.get(at).is_some_and(|text| text.len() > max_bytes))
        .collect();
    (cuts.collect(), truncated)
}

/// Gives every vector the length 1.
///
/// # Errors
/// A sentence, when they are not of one dimension, or one has no direction.
pub(crate) fn normalise_all(vectors: &mut [Vec<f32>]) -> Result<(), String> {
    let dimension = vectors.first().map_or(0, Vec::len);
    for (at, vector) in vectors.iter_mut().enumerate() {
        if vector.len() != dimension {
            let len = vector.len();
            return Err(format!(
                "vector {at} has {len} numbers and the first {dimension}"
            ));
        }
        if !normalise(vector) {
            return Err(format!("vector {at} has no direction"));
        }
    }
    Ok(())
}

/// Gives the vector the length 1. `false` when it has no direction: all zeros, or not numbers.
pub(crate) fn normalise(vector: &mut [f32]) -> bool {
    let squares: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let length = squares.sqrt();
    if !length.is_finite() || length <= 0.0 {
        return false;
    }
    for x in vector {
        #[expect(clippy::cast_possible_truncation, reason = "between -1 and 1")]
        let unit = (f64::from(*x) / length) as f32;
        *x = unit;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let texts = ["abc", "abcd", "ab\u{e9}", ""].map(str::to_owned);
        let (cuts, truncated) = cut(&texts, 3);
        assert_eq!(cuts, ["abc", "abc", "ab", ""]);
        assert_eq!(truncated, [1, 2]);
    }

    #[test]
    fn vectors_get_length_one_or_are_refused() {
        let mut vectors = vec![vec![3.0, -4.0], vec![0.0, 1e-30]];
        assert_eq!(normalise_all(&mut vectors), Ok(()));
        assert_eq!(vectors, [[0.6, -0.8], [0.0, 1.0]]);
        for bad in [vec![0.0, 0.0], vec![f32::NAN, 1.0], vec![1.0]] {
            assert!(
                normalise_all(&mut [vec![1.0, 0.0], bad.clone()]).is_err(),
                "{bad:?}"
            );
        }
        assert_eq!(normalise_all(&mut []), Ok(()));
    }
}
