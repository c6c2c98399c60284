//! What a worker gives up before it sees the first document: descriptors, memory, files, and every system call that does not
//! serve computing. A library that a document takes over can then do nothing but compute, answer, and die.

use super::Settings;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};
use std::collections::BTreeMap;
use std::io;

/// Locks the process in. The inner error says why system calls are not filtered (a kernel without seccomp, an architecture
/// that the filter does not know); everything else holds then nevertheless.
///
/// # Errors
/// When another limit cannot be set, which no supported kernel refuses.
pub fn lock_in(settings: &Settings) -> io::Result<Result<(), String>> {
    yield_to_others();
    limit(settings)?;
    control(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    // Not readable by other processes of the same user, nor traceable.
    control(libc::PR_SET_DUMPABLE, 0)?;
    // The end of standard input says the same, but only between documents. (The kernel means the thread that started this
    // process: should that end before its process does, the pool finds a dead worker and starts another.)
    control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
    Ok(filter().map_err(|e| e.to_string()))
}

/// Closes what the parent left open by mistake.
pub fn close_all_but(kept: i32) {
    let mut first = 3;
    for last in [kept - 1, i32::MAX] {
        if first <= last {
            // SAFETY: a plain system call. On kernels before 5.9 it does nothing; descriptors are close-on-exec anyway.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
        first = kept + 1;
    }
}

/// Mail goes first, on the processor and when memory runs out. Both are wishes.
fn yield_to_others() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // SAFETY: a plain system call.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

fn limit(settings: &Settings) -> io::Result<()> {
    let mapped = mapped_bytes().unwrap_or_default();
    let cpu = settings.cpu_seconds;
    let limits = [
        (libc::RLIMIT_AS, mapped.saturating_add(settings.memory_bytes), 0),
        // The soft limit ends it; the hard one ends what ignores that.
        (libc::RLIMIT_CPU, cpu, 5),
        (libc::RLIMIT_NOFILE, 0, 0),
        (libc::RLIMIT_FSIZE, 0, 0),
        (libc::RLIMIT_CORE, 0, 0),
    ];
    for (resource, soft, more) in limits {
        let limit =
            libc::rlimit { rlim_cur: soft as libc::rlim_t, rlim_max: soft.saturating_add(more) as libc::rlim_t };
        // SAFETY: `limit` is a valid rlimit.
        if unsafe { libc::setrlimit(resource, &limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Address space that the program has before any document.
fn mapped_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().next()?.parse().ok()?;
    // SAFETY: a plain library call.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    pages.checked_mul(page)
}

fn control(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: a plain system call with numbers only.
    if unsafe { libc::prctl(option, value, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Two filters, of which the kernel takes the stricter answer: what only an attacker calls ends the process; of the rest what
/// is not needed for computing is refused, so that a library which asks for something harmless (the time zone, the number of
/// processors) goes on without.
fn filter() -> Result<(), seccompiler::Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let fatal = SeccompFilter::new(fatal(), SeccompAction::Allow, SeccompAction::KillProcess, arch)?;
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let allowed = SeccompFilter::new(allowed()?, refused, SeccompAction::Allow, arch)?;
    let (fatal, allowed) = (BpfProgram::try_from(fatal)?, BpfProgram::try_from(allowed)?);
    apply_filter_all_threads(&fatal)?;
    apply_filter_all_threads(&allowed)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn fatal() -> Rules {
    let calls = [
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_open_by_handle_at,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_mkdirat,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_kill,
        libc::SYS_mount,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_memfd_create,
        // The older names of some of these, which only x86-64 has.
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_creat,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_fork,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_unlink,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename,
    ];
    calls.into_iter().map(|call| (call, Vec::new())).collect()
}

fn allowed() -> Result<Rules, seccompiler::BackendError> {
    // Without arguments to look at: the pipes, memory, locks, signals and the end.
    let calls = [
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: Rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
    // Memory that is never code.
    let no_code = || condition(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0);
    rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![no_code()?])?]);
    rules.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![no_code()?])?]);
    // `abort`: a signal to itself.
    // SAFETY: a plain system call.
    let own = unsafe { libc::getpid() } as u64;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![condition(0, SeccompCmpOp::Eq, own)?])?]);
    Ok(rules)
}

fn condition(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)
}
