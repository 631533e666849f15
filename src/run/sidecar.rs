//! The state of the running program.

use super::requests::Requests;
use crate::base::sys;
use crate::base::time::Instant;
use crate::config::Config;
use crate::confirm::Confirm;
use crate::deliver::{self, Delivery};
use crate::fingerprint::Secret;
use crate::http::Http;
use crate::process::Proc;
use crate::reload::{Reload, Timing, Waiting};
use crate::report::Report;
use crate::report::facts::lifecycle::Lifecycle;
use crate::watch::{Changes, Watch};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, getpid};

/// The program's state and everything that is open.
pub(super) struct Sidecar<'c> {
    pub(super) config: &'c Config<'c>,
    pub(super) signals: OwnedFd,
    /// The key of the content's fingerprint.
    pub(super) secret: Secret,
    pub(super) proc: Proc,
    pub(super) watch: Watch,
    pub(super) reload: Reload,
    pub(super) requests: Requests,
    pub(super) delivery: Delivery,
    pub(super) confirm: Confirm,
    pub(super) changes: Changes,
    pub(super) http: Http,
    /// The log has said what SIGHUP does not do.
    pub(super) has_explained_hup: bool,
    /// The first scan is complete.
    pub(super) is_watching: bool,
    /// Why the last attempt at the pending reload failed.
    pub(super) waiting: Option<Waiting>,
    pub(super) last_scan: Instant,
    /// When the inotify queue was last seen empty.
    pub(super) drained_at: Instant,
}

impl<'c> Sidecar<'c> {
    /// Opens everything but the listener.
    ///
    /// # Errors
    /// The failed attempt, to follow "cannot", with its error.
    #[inline(never)]
    pub(super) fn open(config: &'c Config<'c>) -> Result<Self, (&'static str, Errno)> {
        sys::reap_children();
        let signals =
            sys::signal_descriptor().map_err(|errno| ("receive signals by signalfd", errno))?;
        let timing = Timing {
            settle: config.settle,
            settle_max: config.settle_max,
            min_interval: config.min_interval,
        };
        Ok(Self {
            config,
            signals,
            secret: match config.hash_key {
                Some(key) => Secret::from_text(key),
                None => Secret::new(sys::random()),
            },
            proc: open_proc()?,
            watch: Watch::new(),
            reload: Reload::new(timing),
            requests: Requests::default(),
            delivery: Delivery::new(),
            confirm: Confirm::new(config),
            changes: Changes::new(),
            http: Http::new(),
            has_explained_hup: false,
            is_watching: false,
            waiting: None,
            last_scan: sys::now(),
            drained_at: sys::now(),
        })
    }

    /// Opens the listener, if one is configured.
    pub(super) fn listen(&mut self) -> Result<(), (&'c [u8], Errno)> {
        let Some(listen) = self.config.listen else {
            return Ok(());
        };
        self.http
            .open(&listen.address)
            .map_err(|errno| (listen.text, errno))
    }

    /// Logs the settings that matter most.
    pub(super) fn introduce(&self, report: &mut Report) {
        report.record(&Lifecycle::Started {
            config_dir: self.config.roots.as_bytes(),
            wanted: deliver::wanted(self.config),
            listen_addr: self.config.listen.map(|listen| listen.text),
            signal: self.config.signal,
        });
        if getpid() == Pid::INIT {
            report.record(&Lifecycle::IsProcessOne);
        }
    }
}

/// Opens `/proc`, without which nothing works.
///
/// # Errors
/// The failed attempt, to follow "cannot", with its error.
pub fn open_proc() -> Result<Proc, (&'static str, Errno)> {
    Proc::own().map_err(|errno| ("read its own entry in /proc", errno))
}
