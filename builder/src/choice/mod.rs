//! Choices: what a recipe leaves open, who decides it, and whether all decisions go together.
//!
//! There is no solver: one pass, in which a wish that somebody has said stands, what nobody has said takes the recipe's
//! default, and what cannot be had together is an error that names both sides.

mod choosing;
mod feature;
pub mod linkage;
pub mod name;
mod selection;
mod when;
mod wishes;

pub use choosing::choose;
pub use feature::{Feature, FeatureValue, RESERVED, Rule};
pub use selection::{Selection, shown};
pub use when::When;
pub use wishes::{Asker, Wishes};
