//! A process confines itself and then becomes another program.
//!
//! `ghostline bench confined …` is started by [`Sandbox`](super::Sandbox) and by nobody else. It gives
//! up its rights and calls `exec`, so nothing of ours runs afterwards. Three means of Linux: Landlock
//! for files, seccomp for system calls, resource limits for the rest. What is given up cannot be had
//! back, by no program that is started later.

use std::ffi::OsString;
use std::path::PathBuf;

/// How the process begins to say that it could not confine itself.
pub const CANNOT: &str = "cannot confine a program: ";

/// What the confined program may still do.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Confinement {
    /// The only folder in which it may write.
    #[arg(long)]
    pub folder: PathBuf,
    /// What it may read, besides the system's libraries.
    #[arg(long = "read")]
    pub readable: Vec<PathBuf>,
    /// Processor time.
    #[arg(long)]
    pub cpu_seconds: u64,
    /// Address space.
    #[arg(long)]
    pub memory_bytes: u64,
    /// Size of a file it writes.
    #[arg(long)]
    pub file_bytes: u64,
}

impl Confinement {
    /// The arguments of `ghostline` that the program and its own arguments follow.
    pub fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["bench".into(), "confined".into()];
        let mut put = |name: &str, value: OsString| {
            arguments.push(name.into());
            arguments.push(value);
        };
        put("--folder", self.folder.clone().into());
        for path in &self.readable {
            put("--read", path.clone().into());
        }
        put("--cpu-seconds", self.cpu_seconds.to_string().into());
        put("--memory-bytes", self.memory_bytes.to_string().into());
        put("--file-bytes", self.file_bytes.to_string().into());
        arguments.push("--".into());
        arguments
    }
}

/// Gives up all rights but those of `confinement` and becomes `program`. Returns only what went wrong.
#[cfg(target_os = "linux")]
pub fn become_confined(
    confinement: &Confinement,
    program: &std::path::Path,
    arguments: &[OsString],
) -> String {
    use std::os::unix::process::CommandExt as _;

    // The filter is built before memory is short, and holds before a limit could be lifted again.
    let confined = linux::be_alone()
        .and_then(|()| linux::restrict_files(confinement))
        .and_then(|()| linux::call_filter())
        .and_then(|filter| linux::limit(confinement).map(|()| filter))
        .and_then(|filter| linux::restrict_calls(&filter));
    match confined {
        Err(why) => why,
        Ok(()) => std::process::Command::new(program)
            .args(arguments)
            .exec()
            .to_string(),
    }
}

/// Says that this system has no means for it.
#[cfg(not(target_os = "linux"))]
pub fn become_confined(_: &Confinement, _: &std::path::Path, _: &[OsString]) -> String {
    "only Linux has the means (Landlock, seccomp)".to_owned()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset,
        RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
    };
    use rustix::process::{Resource, Rlimit, setrlimit};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    use super::Confinement;

    /// Where programs and libraries of the system are. None of it is a person's.
    const SYSTEM: &[&str] = &[
        "/usr",
        "/lib",
        "/lib32",
        "/lib64",
        "/bin",
        "/nix/store",
        "/gnu/store",
        "/etc/ld.so.cache",
        "/etc/localtime",
        "/dev/null",
        "/dev/urandom",
    ];
    /// The oldest Landlock taken: the first that handles truncating files (Linux 6.2). What newer ones
    /// add, seccomp refuses as well.
    const OLDEST: ABI = ABI::V3;
    /// The newest Landlock whose rights are asked for where the kernel has them.
    const NEWEST: ABI = ABI::V6;
    /// Files open at once; Python takes about 10.
    const MOST_OPEN_FILES: u64 = 64;

    /// System calls that are refused: network, other processes, other ways to the kernel.
    const REFUSED: &[i64] = &[
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_sendmmsg,
        // Opens sockets past this filter.
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        // Flags are behind a pointer; without it the C library takes `clone`.
        libc::SYS_clone3,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_kcmp,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_tkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_process_mrelease,
        libc::SYS_migrate_pages,
        libc::SYS_move_pages,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setaffinity,
        libc::SYS_ioprio_set,
        // Landlock does not know these: owners, modes, times and attributes of files that can be read.
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchmodat2,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        libc::SYS_fremovexattr,
        libc::SYS_setsid,
        libc::SYS_setpgid,
        libc::SYS_setpriority,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setattr,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_mount_setattr,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_syslog,
        libc::SYS_vhangup,
        libc::SYS_personality,
        // Message queues and shared memory outlive the process.
        libc::SYS_shmget,
        libc::SYS_semget,
        libc::SYS_msgget,
        libc::SYS_mq_open,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_fork,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_chmod,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_chown,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_lchown,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_utime,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_utimes,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_futimesat,
        // What `prlimit64` does; a superuser could lift the limits.
        #[cfg(target_arch = "x86_64")]
        libc::SYS_setrlimit,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_ioperm,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_iopl,
    ];

    /// Another thread that begins while memory is short would end the process.
    pub(super) fn be_alone() -> Result<(), String> {
        match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
            Ok(2..) => Err("it has more than one thread".to_owned()),
            // Where nothing tells, the program is tried out before others run.
            _ => Ok(()),
        }
    }

    pub(super) fn limit(confinement: &Confinement) -> Result<(), String> {
        let limits = [
            (Resource::Core, 0),
            (Resource::Nofile, MOST_OPEN_FILES),
            (Resource::Fsize, confinement.file_bytes),
            (Resource::Cpu, confinement.cpu_seconds),
            (Resource::As, confinement.memory_bytes),
        ];
        for (resource, most) in limits {
            // At the soft limit of processor time comes a signal that tells why; a second later one
            // that cannot be caught.
            let grace = u64::from(resource == Resource::Cpu);
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(most + grace),
            };
            setrlimit(resource, limit)
                .map_err(|error| format!("the limit {resource:?} cannot be set: {error}"))?;
        }
        Ok(())
    }

    pub(super) fn restrict_files(confinement: &Confinement) -> Result<(), String> {
        let restrict = || {
            let ruleset = Ruleset::default()
                .set_compatibility(CompatLevel::HardRequirement)
                .handle_access(AccessFs::from_all(OLDEST))?
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(NEWEST))?
                .handle_access(AccessNet::from_all(NEWEST))?
                .scope(Scope::from_all(NEWEST))?
                .create()?;
            let readable = confinement.readable.iter();
            let readable = readable.map(|path| path.as_os_str());
            let system = SYSTEM.iter().map(std::ffi::OsStr::new);
            ruleset
                .add_rules(path_beneath_rules(
                    system.chain(readable),
                    AccessFs::from_read(NEWEST),
                ))?
                .add_rules(path_beneath_rules(
                    ["/dev/null"],
                    AccessFs::from_file(NEWEST),
                ))?
                .add_rules(path_beneath_rules(
                    [&confinement.folder],
                    AccessFs::from_all(NEWEST),
                ))?
                .restrict_self()
        };
        let status = restrict()
            .map_err(|error: landlock::RulesetError| format!("no Landlock here: {error}"))?;
        if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
            return Err("this kernel has no Landlock (Linux 6.2 or newer has it)".to_owned());
        }
        Ok(())
    }

    pub(super) fn call_filter() -> Result<BpfProgram, String> {
        let build = || -> Result<BpfProgram, Box<dyn std::error::Error>> {
            let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
                REFUSED.iter().map(|&call| (call, Vec::new())).collect();
            let when = |argument, width, operator, value| {
                SeccompCondition::new(argument, width, operator, value)
                    .and_then(|condition| SeccompRule::new(vec![condition]))
            };
            let (int, pointer) = (SeccompCmpArgLen::Dword, SeccompCmpArgLen::Qword);
            // Threads are allowed, processes are not.
            let thread = u64::try_from(libc::CLONE_THREAD)?;
            let process = when(0, int.clone(), SeccompCmpOp::MaskedEq(thread), 0)?;
            rules.insert(libc::SYS_clone, vec![process]);
            // Signals go to this very process, which keeps its id.
            let own = u64::from(std::process::id());
            let mut own_only = |call| -> Result<(), Box<dyn std::error::Error>> {
                rules.insert(call, vec![when(0, int.clone(), SeccompCmpOp::Ne, own)?]);
                Ok(())
            };
            own_only(libc::SYS_kill)?;
            own_only(libc::SYS_tgkill)?;
            // Limits may be asked for and not set.
            let sets = when(2, pointer, SeccompCmpOp::Ne, 0)?;
            rules.insert(libc::SYS_prlimit64, vec![sets]);
            let filter = SeccompFilter::new(
                rules,
                SeccompAction::Allow,
                SeccompAction::Errno(u32::try_from(libc::ENOSYS)?),
                std::env::consts::ARCH.try_into()?,
            )?;
            Ok(filter.try_into()?)
        };
        build().map_err(|error| format!("no seccomp here: {error}"))
    }

    pub(super) fn restrict_calls(filter: &BpfProgram) -> Result<(), String> {
        seccompiler::apply_filter(filter).map_err(|error| format!("no seccomp here: {error}"))
    }
}
