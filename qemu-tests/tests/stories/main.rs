//! Real boots, each test a story. They are one program, so that two guests run at any time: with a program each, the last story of
//! each ran alone.

mod blessing;
mod broken_media;
mod chain;
mod consoles;
mod disks;
mod drives;
mod generations;
mod init_systems;
mod kexec;
mod layers;
mod media;
mod memory;
mod modules;
mod overrides;
mod own_medium;
mod panics;
mod partition_tables;
mod pinned_kernel;
mod recovery;
mod release;
mod running;
mod settings;
mod shares;
mod shipped_profiles;
mod shutdown;
mod signatures;
mod soak_samples;
mod stacks;
mod state;
mod state_check;
mod state_full;
mod static_init;
mod stock_kernel;
mod verity;
mod verity_judge;
