//! Statistics: intervals, means and quantiles, of counts that were read as they stand.
//!
//! ```text
//! two readings of counters ─► increase ─► hits of all      ─► wilson, newcombe
//!                                         shares by window ─► batch_means
//! two readings of histograms ─► Bins::since ─► Bins        ─► quantile, interval ─► Range
//! ```
//!
//! All intervals are of 95 %. No function panics: where there is no answer it is `None`, which is *no data* and never 0.

pub mod batch;
pub mod bins;
pub mod counter;
pub mod interval;
pub mod range;
pub mod student;

pub use batch::batch_means;
pub use bins::{Bin, Bins};
pub use counter::{increase, rate};
pub use interval::{difference, newcombe, wilson};
pub use range::Range;
