//! The walls of Linux, a function each.

use std::env::consts::ARCH;
use std::error::Error;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit, getpid, getrlimit, setrlimit};
use rustix::thread::set_no_new_privs;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::{Gaps, Limits, Unenclosed, Wall};

type Built = Result<(), Box<dyn Error>>;

pub(crate) fn enclose(
    limits: &Limits,
    start: impl FnOnce() -> std::io::Result<()>,
) -> Result<Gaps, Unenclosed> {
    // In this order, since each takes calls or descriptors that the next ones forbid.
    let mut gaps = Vec::new();
    let mut raise = |walls: &[Wall]| {
        for wall in walls {
            if let Err(missing) = build(*wall, limits) {
                gaps.push((*wall, missing.to_string()));
            }
        }
    };
    raise(&[Wall::Privileges, Wall::Files]);
    start().map_err(Unenclosed::Threads)?;
    raise(&[Wall::Resources, Wall::Calls]);
    let lacks = |wall| gaps.iter().any(|(missing, _)| *missing == wall);
    let open =
        lacks(Wall::Resources) || lacks(Wall::Privileges) || (lacks(Wall::Files) && lacks(Wall::Calls));
    if open { Err(Unenclosed::Lacking(Gaps(gaps))) } else { Ok(Gaps(gaps)) }
}

pub(crate) fn build(wall: Wall, limits: &Limits) -> Built {
    match wall {
        Wall::Resources => resources(limits),
        Wall::Privileges => Ok(set_no_new_privs(true)?),
        Wall::Files => files(),
        Wall::Calls => calls(),
    }
}

fn resources(limits: &Limits) -> Built {
    // One second between the signal that says why, SIGXCPU, and the one that says nothing.
    let seconds = limits.cpu_seconds;
    lower(Resource::Cpu, seconds, seconds.saturating_add(1))?;
    for (resource, most) in [
        (Resource::As, limits.memory_bytes),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        // Numbers of descriptors begin at 0, so no new one can be opened beside input, output and log.
        (Resource::Nofile, 3),
        // Does not bind root.
        (Resource::Nproc, 0),
    ] {
        lower(resource, most, most)?;
    }
    Ok(())
}

/// Sets a limit, unless whoever started the process has set a lower one.
fn lower(resource: Resource, current: u64, maximum: u64) -> Built {
    let before = getrlimit(resource);
    let least = |wanted: u64, set: Option<u64>| Some(set.map_or(wanted, |set| wanted.min(set)));
    let current = least(current, before.current);
    Ok(setrlimit(resource, Rlimit { current, maximum: least(maximum, before.maximum) })?)
}

/// Everything that Landlock can forbid is forbidden, and no path and no port is an exception.
fn files() -> Built {
    const NEWEST: ABI = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()?;
    match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("the kernel does not have it".into()),
    }
}

/// Calls that computing takes, and that read, write and close what is open. Whatever else is called fails with
/// EPERM, rather than ending the process: libraries look for the time zone or for huge pages and do without.
const ALLOWED: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
];

fn calls() -> Built {
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // Memory may not become code.
    let not_executable = SeccompCondition::new(
        2,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(libc::PROT_EXEC.unsigned_abs().into()),
        0,
    )?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![not_executable.clone()])?]);
    }
    // A process may signal itself: that is how it aborts.
    let me = u64::from(getpid().as_raw_nonzero().get().unsigned_abs());
    let to_myself = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, me)?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![to_myself])?]);

    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}
