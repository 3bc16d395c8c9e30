//! What of a store is needed, and the removal of the rest.
//!
//! | module | subject |
//! |---|---|
//! | [`roots`] | what is needed, and by whom: generations that stay, and builds of the tree |
//! | [`plan`] | each file of the store with the reason for which it stays or goes; and the removal |

pub mod plan;
pub mod roots;
