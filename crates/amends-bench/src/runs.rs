//! The same measurement several times over.
//!
//! Owns what is reported of several runs together. Promises the median, and beside it the least and the most
//! that a run showed: a single figure hides how far two runs of the same program lie apart. Knows at least
//! one run. Does not run anything.

/// All runs of one measurement.
#[derive(Debug)]
pub(super) struct Runs<R>(Vec<R>);

/// What they showed of one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl<R> Runs<R> {
    /// `None` of no runs.
    pub(super) fn of(runs: Vec<R>) -> Option<Self> {
        (!runs.is_empty()).then_some(Self(runs))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first(&self) -> &R {
        &self.0[0]
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, R> {
        self.0.iter()
    }

    /// One look at each run.
    pub(super) fn each<'r, S>(&'r self, look: impl FnMut(&'r R) -> S) -> Runs<S> {
        Runs(self.0.iter().map(look).collect())
    }

    /// The same figure of each run. Of an even number of runs the median lies between the two in the middle.
    pub(super) fn spread(&self, figure: impl FnMut(&R) -> f64) -> Spread {
        let mut figures: Vec<f64> = self.0.iter().map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        let (half, last) = (figures.len() / 2, figures.len() - 1);
        Spread {
            min: figures[0],
            median: f64::midpoint(figures[last - half], figures[half]),
            max: figures[last],
        }
    }

    pub(super) fn median(&self, figure: impl FnMut(&R) -> f64) -> f64 {
        self.spread(figure).median
    }

    /// The median of a figure that is not always known; `None` unless every run knows it.
    pub(super) fn median_if_known(&self, figure: impl FnMut(&R) -> Option<f64>) -> Option<f64> {
        self.spread_if_known(figure).map(|spread| spread.median)
    }

    /// The same with its spread.
    pub(super) fn spread_if_known(&self, figure: impl FnMut(&R) -> Option<f64>) -> Option<Spread> {
        let known: Option<Vec<f64>> = self.0.iter().map(figure).collect();
        Some(Runs(known?).spread(|figure| *figure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(figures: &[f64]) -> Runs<f64> {
        Runs::of(figures.to_vec()).unwrap()
    }

    #[test]
    fn the_median_has_as_many_runs_below_it_as_above() {
        for (figures, min, median, max) in [
            (&[5.0][..], 5.0, 5.0, 5.0),
            (&[9.0, 1.0], 1.0, 5.0, 9.0),
            (&[9.0, 1.0, 2.0], 1.0, 2.0, 9.0),
            (&[4.0, 9.0, 1.0, 2.0], 1.0, 3.0, 9.0),
        ] {
            assert_eq!(runs(figures).spread(|figure| *figure), Spread { min, median, max }, "{figures:?}");
        }
        assert!(Runs::<f64>::of(Vec::new()).is_none());
    }

    #[test]
    fn what_one_run_does_not_know_is_not_known() {
        let known = |figure: &f64| (*figure > 0.0).then_some(*figure);
        assert_eq!(runs(&[3.0, 1.0, 2.0]).median_if_known(known), Some(2.0));
        assert_eq!(runs(&[3.0, 0.0, 2.0]).median_if_known(known), None);
    }
}
