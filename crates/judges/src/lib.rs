//! No code: the tests of this package let other people's crates look at what Lamina makes.
//!
//! They build bindings of C libraries, with the Debian packages `libsquashfs-dev`, `libclang-dev` and `clang`. For that reason they
//! have a package of their own, which nothing depends on.
