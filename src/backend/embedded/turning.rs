//! Keys at other positions.
//!
//! A key stands in the cache turned by its position: each pair of its numbers by an angle that grows with
//! it (rotary position embedding, arXiv 2104.09864). llama.cpp turns all cells of a context at once, each by
//! its own angle, and cannot be broken off in that: with 2,816 cells on two cores a cancel then took 57 ms,
//! and 8 ms with what is here (p99, Qwen2.5-Coder 1.5B, November 2026). What the engine moves is some hundred
//! cells, all by the same distance, so one table of sines serves them all.
//!
//! Called by [`super::cache`] with a sequence as llama.cpp writes it (`llama_kv_cache::state_write`,
//! llama-cpp-sys-2 0.1.161). Invariant: what is not understood to the last byte is left as it is.

use std::ops::Range;

use half::f16;

/// The bytes of a number.
const F16: usize = 2;
/// `GGML_TYPE_F16`.
const TYPE_F16: u32 = 1;
/// Magic, sequence, streams, cells.
const HEAD_BYTES: usize = 16;
/// How far two roundings of the same number may differ, as a share of it: two of its ten bits.
const TOLERANCE: f32 = 4.0 / 1024.0;
/// A number that is a smaller share of its layer's largest counts as this share: the other one of its pair
/// may be that large, and its rounding comes over as the pair turns.
const SMALL: f32 = 1.0 / 64.0;

/// How the keys of a model turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Turning {
    /// What each pair turns by from one position to the next, in radians.
    angles: Vec<f64>,
    /// Numbers of a head. Those behind the pairs do not turn.
    head: usize,
    /// Whether pairs are made of both halves, not of neighbours.
    halves: bool,
}

impl Turning {
    /// By the frequencies of `base`, the first `turned` numbers of each head.
    pub(super) fn new(base: f64, head: usize, turned: usize, halves: bool) -> Option<Self> {
        let fits = turned > 0 && turned.is_multiple_of(2) && turned <= head && base > 0.0;
        let number = |n: usize| u32::try_from(n).map_or(f64::INFINITY, f64::from);
        let angle = |pair: usize| base.powf(-2.0 * number(pair) / number(turned));
        fits.then(|| Self {
            angles: (0..turned / 2).map(angle).collect(),
            head,
            halves,
        })
    }

    /// Moves a sequence by so many positions. `None`, and nothing done, where its form is another.
    pub(super) fn turn(&self, state: &mut [u8], by: i32) -> Option<()> {
        let layout = Layout::of(state)?;
        let fits =
            |keys: &Range<usize>| (keys.len() / layout.cells).is_multiple_of(self.head * F16);
        if !layout.keys.iter().all(fits) {
            return None;
        }
        for at in layout.positions {
            let place = state.get_mut(at..at + 4)?;
            let position = i32::from_le_bytes(place.try_into().ok()?) + by;
            place.copy_from_slice(&position.to_le_bytes());
        }
        #[expect(clippy::cast_possible_truncation, reason = "as precise as the kernels")]
        let table: Vec<(f32, f32)> = self
            .angles
            .iter()
            .map(|angle| (angle * f64::from(by)).sin_cos())
            .map(|(sin, cos)| (sin as f32, cos as f32))
            .collect();
        let mut head = vec![0.0; self.head];
        for keys in layout.keys {
            for bytes in state.get_mut(keys)?.chunks_exact_mut(self.head * F16) {
                let (numbers, _) = bytes.as_chunks_mut::<F16>();
                for (number, bytes) in head.iter_mut().zip(&*numbers) {
                    *number = f16::from_le_bytes(*bytes).to_f32();
                }
                self.turn_head(&mut head, &table);
                for (number, bytes) in head.iter().zip(numbers) {
                    *bytes = f16::from_f32(*number).to_le_bytes();
                }
            }
        }
        Some(())
    }

    fn turn_head(&self, head: &mut [f32], table: &[(f32, f32)]) {
        let turn = |x: &mut f32, y: &mut f32, (sin, cos): (f32, f32)| {
            (*x, *y) = (*x * cos - *y * sin, *x * sin + *y * cos);
        };
        let turned = 2 * table.len();
        if self.halves {
            let (first, rest) = head.split_at_mut(table.len());
            for ((x, y), &by) in first.iter_mut().zip(rest).zip(table) {
                turn(x, y, by);
            }
        } else {
            let (pairs, _) = head.as_chunks_mut::<2>();
            for ([x, y], &by) in pairs.iter_mut().take(turned / 2).zip(table) {
                turn(x, y, by);
            }
        }
    }
}

/// Whether two writings of one sequence hold the same cells at the same positions, their keys but for
/// rounding.
pub(super) fn agree(a: &[u8], b: &[u8]) -> bool {
    let Some((layout, other)) = Layout::of(a).zip(Layout::of(b)) else {
        return false;
    };
    if layout != other {
        return false;
    }
    let number = |state: &[u8], at: usize| {
        let bytes = state.get(at..at + F16).and_then(|b| b.try_into().ok());
        bytes.map_or(f32::NAN, |bytes| f16::from_le_bytes(bytes).to_f32())
    };
    let same_positions = layout
        .positions
        .iter()
        .all(|&at| a.get(at..at + 4) == b.get(at..at + 4));
    let mut keys = layout.keys.into_iter();
    same_positions
        && keys.all(|keys| {
            let numbers = keys.clone().step_by(F16);
            let largest = numbers
                .clone()
                .fold(0.0_f32, |most, at| most.max(number(a, at).abs()));
            numbers.into_iter().all(|at| {
                let (x, y) = (number(a, at), number(b, at));
                // Not a number agrees with nothing.
                (x - y).abs() <= TOLERANCE * x.abs().max(y.abs()).max(SMALL * largest)
            })
        })
}

/// Where things stand in a sequence as llama.cpp writes it.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    cells: usize,
    /// Of the positions, four bytes each.
    positions: Vec<usize>,
    /// Of the keys of each layer.
    keys: Vec<Range<usize>>,
}

impl Layout {
    /// `None` for another form, and for a sequence without cells.
    fn of(state: &[u8]) -> Option<Self> {
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(state.get(at..at + 4)?.try_into().ok()?))
        };
        let sequence = word(4)?;
        let (streams, cells) = (word(8)?, word(12)? as usize);
        if streams != 1 || cells == 0 {
            return None;
        }
        // Position, one sequence, and which.
        let cell = |n: usize| HEAD_BYTES + 12 * n;
        for n in 0..cells {
            if (word(cell(n) + 4)?, word(cell(n) + 8)?) != (1, sequence) {
                return None;
            }
        }
        let mut at = cell(cells);
        let (layers, turned_keys) = (word(at + 4)?, word(at + 8)?);
        if layers == 0 || turned_keys != 0 {
            return None;
        }
        at += 16;
        let mut keys = Vec::new();
        for _ in 0..layers {
            let row = word(at + 4)? as usize;
            if word(at)? != TYPE_F16 || word(at + 8)? != 0 || row == 0 {
                return None;
            }
            let layer = at + 12..at + 12 + cells * row;
            at = layer.end;
            keys.push(layer);
        }
        (at <= state.len()).then(|| Self {
            cells,
            positions: (0..cells).map(cell).collect(),
            keys,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence of two layers with one head of four numbers, as llama.cpp writes it.
    fn written(cells: &[(i32, [f32; 4])]) -> Vec<u8> {
        let mut out = Vec::new();
        let words = |words: &[u32]| {
            words
                .iter()
                .flat_map(|w| w.to_le_bytes())
                .collect::<Vec<_>>()
        };
        out.extend(words(&[0xfeed, 3, 1, u32::try_from(cells.len()).unwrap()]));
        for (position, _) in cells {
            out.extend(words(&[position.cast_unsigned(), 1, 3]));
        }
        out.extend(words(&[0, 2, 0, 0]));
        for _ in 0..2 {
            out.extend(words(&[TYPE_F16, 8, 0]));
            for (_, key) in cells {
                out.extend(key.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()));
            }
        }
        // Values.
        out.extend([7; 40]);
        out
    }

    #[test]
    fn each_pair_turns_by_its_own_angle() {
        let half_turn = std::f64::consts::PI;
        // (pairs of halves, the key, and after half a turn of the first pair; the other hardly moves)
        for (halves, key, turned) in [
            (true, [1.0, 2.0, 3.0, 4.0], [-1.0, 2.0, -3.0, 4.0]),
            (false, [1.0, 2.0, 3.0, 4.0], [-1.0, -2.0, 3.0, 4.0]),
        ] {
            let mut turning = Turning::new(1e12, 4, 4, halves).unwrap();
            turning.angles[0] = half_turn / 5.0;
            let mut state = written(&[(10, key), (11, [0.0; 4])]);
            turning.turn(&mut state, 5).unwrap();
            let expect = written(&[(15, turned), (16, [0.0; 4])]);
            assert!(agree(&state, &expect), "{halves}");
            assert_eq!(state[state.len() - 40..], expect[expect.len() - 40..]);
        }
    }

    #[test]
    fn there_and_back_is_where_it_was() {
        let turning = Turning::new(1e6, 4, 4, true).unwrap();
        let before = written(&[(100, [0.5, -3.25, 12.0, 0.01])]);
        let mut state = before.clone();
        turning.turn(&mut state, -37).unwrap();
        assert!(!agree(&state, &before));
        turning.turn(&mut state, 37).unwrap();
        assert!(agree(&state, &before));
    }

    #[test]
    fn what_is_not_understood_is_left_as_it_is() {
        let turning = Turning::new(1e4, 4, 4, true).unwrap();
        let good = written(&[(1, [1.0; 4]), (2, [1.0; 4])]);
        let with = |at: usize, word: u32| {
            let mut state = good.clone();
            state[at..at + 4].copy_from_slice(&word.to_le_bytes());
            state
        };
        let meta = HEAD_BYTES + 2 * 12;
        for mut state in [
            Vec::new(),
            good[..60].to_vec(),
            with(8, 2),              // streams
            with(12, 0),             // cells
            with(12, 1 << 30),       // cells
            with(HEAD_BYTES + 4, 2), // two sequences in a cell
            with(meta + 8, 64),      // keys that are turned another way
            with(meta + 16, 8),      // a quantised key
            with(meta + 20, 12),     // a row of another size
        ] {
            let before = state.clone();
            assert_eq!(turning.turn(&mut state, 1), None, "{before:?}");
            assert_eq!(state, before);
        }
        assert_eq!(Turning::new(1e4, 4, 6, true), None);
        assert_eq!(Turning::new(0.0, 4, 4, true), None);
    }
}
