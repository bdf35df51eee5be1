//! Who calls whom: a layered layout, its picture as SVG, and the same as rows of a table.
//!
//! ```text
//! nodes, edges ─► Graph: sorted, merged ─► layers ─► order ─► place ─► Layout ─► svg
//!                                    └───────────────────────────────────────► rows
//! ```
//!
//! The layout is Sugiyama's (K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures", IEEE
//! Transactions on Systems, Man and Cybernetics 11, 1981): layers by longest path, order by barycentres, over ids in order. So the same graph
//! gives the same bytes, in whatever order it comes.

pub mod draw;
pub mod layers;
pub mod layout;
pub mod model;
pub mod order;
pub mod place;
pub mod rows;

pub use draw::svg;
pub use layout::{Layout, layout};
pub use model::{Edge, Graph, Kind, Node};
pub use rows::{Row, rows};
