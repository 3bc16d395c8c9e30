//! Commands of the host in a guest, without a network and without a login: what `lamina vm --run` and `--test` use.
//!
//! The program `guest-agent` lies in a throwaway initramfs that only those commands make, and starts there beside the real init. It speaks
//! over the second serial port, for which a kernel needs no module. The host asks ([`message::Request`]), the agent tells
//! ([`message::Event`]); both are frames ([`frame`]).
//!
//! | module | subject |
//! |---|---|
//! | [`frame`] | bytes with a kind and a length |
//! | [`message`] | what the frames say |
//! | [`port`] | the serial port |
//! | [`readiness`] | when a system is up |
//! | [`job`] | one command: its output, its end, its time |
//! | [`serve`] | the agent: one request after another |
//!
//! The guest is not trusted by the host, nor the other way round where that is cheap: lengths are bounded on both sides.

pub mod frame;
pub mod job;
pub mod message;
pub mod port;
pub mod readiness;
pub mod serve;
