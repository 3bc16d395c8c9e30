//! What a boot says on the console, and what it leaves in writing.
//!
//! | module | what it does |
//! |---|---|
//! | `journal` | what has been done, and when |
//! | `kernel_words` | what the kernel said meanwhile |
//! | `records` | the report, as data |
//! | `layout` | its JSON, for people |

pub mod journal;
pub mod kernel_words;
mod layout;
mod records;
mod top_record;

pub use records::{
    AttemptRecord, LayerFacts, LedgerRecord, LoadedModule, ModuleRecord, Outcome, ProfileRecord, Report,
    StepRecord, layers,
};
pub use top_record::TopRecord;
