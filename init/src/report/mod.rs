//! What a boot says on the console, and what it leaves in writing.
//!
//! | module | what it does |
//! |---|---|
//! | `journal` | what has been done, and when |
//! | `kernel_words` | what the kernel said meanwhile |
//! | `layers` | the layers of the stack, as the report has them |
//!
//! The report itself is `boot_report::records`.

pub mod journal;
pub mod kernel_words;
mod layers;

pub use layers::LayerFacts;
