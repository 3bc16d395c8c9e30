//! Which system calls a sandbox takes away, by use (seccomp(2)). What a build needs is far more than can be listed, so the lists say
//! what it does not get: doors into parts of the kernel that no build needs and in which rights were gained again and again.
//!
//! A call that is taken away answers with an error that programs know; a program of another architecture (32 bits) is ended.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a process of a sandbox is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// The first stage, which only waits for the second: as [`Policy::Step`], and it starts no program.
    Build,
    /// The steps of a recipe, and pid 1, which runs them.
    Step,
    /// A person at work in a sandbox: as [`Policy::Step`], but debuggers work.
    Shell,
}

/// Refused with EPERM, as the kernel refuses those that may not.
const REFUSED: &[libc::c_long] = &[
    // Other namespaces, and mounts in them.
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    // Keys of whoever builds.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Programs in the kernel, and looking into it.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_syslog,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_fanotify_init,
    // The machine itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
];

/// Looking into other processes and changing them.
const DEBUGGING: &[libc::c_long] =
    &[libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev];

/// Starting programs.
const PROGRAMS: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// Answered with ENOSYS, after which programs take another way: clone3(2) has its flags in memory, where no filter looks, and C libraries
/// then use clone(2).
const UNKNOWN: &[libc::c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Answered with 0: there are none. Supplementary groups of an ordinary user cannot be given up (setgroups(2) in user_namespaces(7)), have no
/// number in the sandbox and no use, and would differ from caller to caller.
const GROUPS: &[libc::c_long] = &[libc::SYS_getgroups];

/// ioctl(2) requests that type into a terminal: TIOCSTI and TIOCLINUX of ioctl_tty(2), of which C libraries disagree about the type.
const TERMINAL: [u64; 2] = [0x5412, 0x541c];

/// Families of sockets: these and no others. AF_UNIX is 1, AF_INET 2, AF_INET6 10, AF_NETLINK 16.
const BETWEEN_FAMILIES: [(u64, u64); 3] = [(3, 9), (11, 15), (17, u32::MAX as u64)];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Binds this process, which must be one thread, and all that it starts, for ever. No program gains rights any more
/// (PR_SET_NO_NEW_PRIVS).
pub(super) fn apply(policy: Policy) -> Result<()> {
    let failed = "cannot filter the system calls of the sandbox";
    for (rules, errno) in filters(policy).map_err(Error::on(failed))? {
        let program = compile(rules, errno).map_err(Error::on(failed))?;
        seccompiler::apply_filter(&program).map_err(|error| {
            let said = match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            };
            Error::new(failed, said).remedy("use a kernel with CONFIG_SECCOMP_FILTER=y")
        })?;
    }
    Ok(())
}

/// A filter answers with one error: one for each.
fn filters(policy: Policy) -> Result<[(Rules, i32); 4], seccompiler::BackendError> {
    let all = |calls: &[&[libc::c_long]]| -> Rules {
        calls.concat().into_iter().map(|call| (call, Vec::new())).collect()
    };
    let mut refused = all(match policy {
        Policy::Build => &[REFUSED, DEBUGGING, PROGRAMS][..],
        Policy::Step => &[REFUSED, DEBUGGING],
        Policy::Shell => &[REFUSED],
    });
    // A user namespace of its own would give a process all rights in it, and with them most doors of the kernel.
    let namespace = libc::CLONE_NEWUSER.unsigned_abs().into();
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        refused.insert(call, vec![rule(&[(0, SeccompCmpOp::MaskedEq(namespace), namespace)])?]);
    }
    let typing = TERMINAL.map(|request| rule(&[(1, SeccompCmpOp::Eq, request)]));
    refused.insert(libc::SYS_ioctl, typing.into_iter().collect::<Result<_, _>>()?);
    let families = BETWEEN_FAMILIES
        .map(|(first, last)| rule(&[(0, SeccompCmpOp::Ge, first), (0, SeccompCmpOp::Le, last)]));
    let families: Vec<SeccompRule> = families.into_iter().collect::<Result<_, _>>()?;
    let sockets = [libc::SYS_socket, libc::SYS_socketpair].map(|call| (call, families.clone()));
    Ok([
        (refused, libc::EPERM),
        (all(&[UNKNOWN]), libc::ENOSYS),
        (all(&[GROUPS]), 0),
        (sockets.into_iter().collect(), libc::EAFNOSUPPORT),
    ])
}

/// All of these must hold: the argument, how it is compared, and with what. The upper half of a register is not looked at, as the kernel
/// does not for these arguments.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = |(argument, how, with): &(u8, SeccompCmpOp, u64)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, how.clone(), *with)
    };
    SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)
}

fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let here = std::env::consts::ARCH.try_into()?;
    let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, answer, here)?.try_into()?;
    Ok([without_x32(), filter].concat())
}

/// The second set of numbers of x86-64, which would go past every rule: 32-bit pointers with `__X32_SYSCALL_BIT`
/// (`arch/x86/include/uapi/asm/unistd.h`). Classic BPF as in `linux/bpf_common.h`; jumps are relative.
fn without_x32() -> BpfProgram {
    const BIT: u32 = 0x4000_0000;
    if std::env::consts::ARCH != "x86_64" {
        return Vec::new();
    }
    let instruction = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    vec![
        // The number is the first word of `struct seccomp_data`.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, BIT),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_has_filters_that_compile() {
        for policy in [Policy::Build, Policy::Step, Policy::Shell] {
            for (rules, errno) in filters(policy).unwrap() {
                let program = compile(rules, errno).unwrap();
                // BPF_MAXINSNS of the kernel.
                assert!((4..4096).contains(&program.len()), "{policy:?} {}", program.len());
            }
        }
    }

    #[test]
    fn a_person_may_debug_and_the_waiting_stage_starts_nothing() {
        let has = |policy, call: libc::c_long| filters(policy).unwrap()[0].0.contains_key(&call);
        assert!(has(Policy::Step, libc::SYS_ptrace) && !has(Policy::Shell, libc::SYS_ptrace));
        assert!(has(Policy::Build, libc::SYS_execve) && !has(Policy::Step, libc::SYS_execve));
        assert!(
            [Policy::Build, Policy::Step, Policy::Shell].into_iter().all(|policy| has(policy, libc::SYS_bpf))
        );
    }
}
