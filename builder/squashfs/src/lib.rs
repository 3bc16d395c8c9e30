//! The first commit's empty library.
