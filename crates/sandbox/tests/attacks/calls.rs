//! Calls that sessions may not make, each with what could be done with it.

macro_rules! calls {
    ($($name:ident)*) => {
        &[$((stringify!($name), libc::$name)),*]
    };
}

pub const FORBIDDEN: &[(&str, libc::c_long)] = calls! {
    // Other processes, and programs.
    SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_kcmp SYS_pidfd_open SYS_pidfd_getfd
    SYS_pidfd_send_signal SYS_clone3 SYS_execveat SYS_process_madvise SYS_process_mrelease SYS_waitid
    // Namespaces and mounts.
    SYS_unshare SYS_setns SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_fsopen SYS_fsconfig SYS_fsmount
    SYS_fspick SYS_move_mount SYS_open_tree SYS_mount_setattr
    // Files by other ways than their names.
    SYS_open_by_handle_at SYS_name_to_handle_at SYS_openat2 SYS_mknodat SYS_fchownat SYS_fchown SYS_setxattr
    SYS_lsetxattr SYS_fsetxattr SYS_quotactl SYS_fanotify_init SYS_inotify_init1 SYS_memfd_create SYS_memfd_secret
    // Rights.
    SYS_setuid SYS_setgid SYS_setresuid SYS_setresgid SYS_setgroups SYS_setfsuid SYS_capset SYS_seccomp
    SYS_landlock_create_ruleset SYS_personality
    // The network.
    SYS_socket SYS_connect SYS_bind SYS_listen SYS_accept4 SYS_sendmsg SYS_recvmsg SYS_sendmmsg SYS_setsockopt
    // The kernel's own doors.
    SYS_add_key SYS_request_key SYS_keyctl SYS_bpf SYS_perf_event_open SYS_userfaultfd SYS_io_uring_setup
    SYS_io_uring_enter SYS_io_uring_register SYS_io_setup SYS_init_module SYS_finit_module SYS_delete_module
    SYS_kexec_load SYS_reboot SYS_syslog SYS_acct SYS_swapon SYS_swapoff SYS_sethostname SYS_setdomainname
    SYS_clock_settime SYS_settimeofday SYS_adjtimex SYS_vhangup SYS_lookup_dcookie SYS_move_pages SYS_migrate_pages
    SYS_mbind SYS_set_mempolicy SYS_splice SYS_vmsplice SYS_tee
    // Memory that outlives its process, or counts nowhere.
    SYS_shmget SYS_shmat SYS_msgget SYS_semget SYS_mq_open SYS_mlock SYS_mlockall SYS_remap_file_pages
    // Whose turn it is.
    SYS_sched_setscheduler SYS_sched_setattr SYS_sched_setaffinity SYS_ioprio_set
};
