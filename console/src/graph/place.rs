//! Where the vertices of a layer stand: as near to their neighbours as their order and their sizes allow.

/// Places a layer: for each vertex from above its desired centre and its height give its centre, with a distance between neighbours. It is the
/// least-squares answer, by pooling adjacent violators (M. Ayer et al., "An empirical distribution function for sampling with incomplete
/// information", Annals of Mathematical Statistics 26, 1955).
#[must_use]
pub fn place(desired: &[(f64, f64)], distance: f64) -> Vec<f64> {
    // Offsets make "at least so far below" into "not above".
    let mut offsets = Vec::with_capacity(desired.len());
    let mut below = 0.0;
    let mut before: Option<f64> = None;
    for (_, height) in desired {
        below += before.map_or(0.0, |before| f64::midpoint(before, *height) + distance);
        before = Some(*height);
        offsets.push(below);
    }
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for ((centre, _), offset) in desired.iter().zip(&offsets) {
        let (mut sum, mut count) = (centre - offset, 1_usize);
        while let Some((other, more)) =
            pools.last().copied().filter(|(other, more)| other / *more as f64 > sum / count as f64)
        {
            pools.pop();
            (sum, count) = (sum + other, count + more);
        }
        pools.push((sum, count));
    }
    let flat = pools.into_iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count));
    flat.zip(offsets).map(|(at, offset)| at + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn what_has_room_stands_where_it_is_desired() {
        assert_eq!(place(&[(10.0, 4.0), (50.0, 4.0)], 2.0), [10.0, 50.0]);
        assert_eq!(place(&[], 2.0), Vec::<f64>::new());
    }

    #[test]
    fn what_has_none_shares_the_loss() {
        // Both at 10: 6 apart around it. Then a third that pushes both up.
        assert_eq!(place(&[(10.0, 4.0), (10.0, 4.0)], 2.0), [7.0, 13.0]);
        assert_eq!(place(&[(10.0, 4.0), (10.0, 4.0), (10.0, 4.0)], 2.0), [4.0, 10.0, 16.0]);
        assert_eq!(place(&[(0.0, 2.0), (100.0, 4.0), (90.0, 8.0)], 1.0), [0.0, 91.5, 98.5]);
    }
}
