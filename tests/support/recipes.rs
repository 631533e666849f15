//! The settings that make each application reload. The end-to-end tests run the applications with them, and docs/settings.md shows
//! them.

use super::process::Settings;

/// One application, or one way of running it.
pub struct Recipe {
    pub application: &'static str,
    /// The settings besides `CONFIG_DIR`.
    pub settings: &'static [(&'static str, &'static str)],
    /// A remark for users.
    pub remark: &'static str,
}

pub static RECIPES: &[Recipe] = &[
    Recipe {
        application: "nginx",
        settings: &[("PROCESS_NAME", "nginx")],
        remark: "",
    },
    Recipe {
        application: "apache httpd",
        settings: &[
            ("PROCESS_NAME", "apache2,httpd"),
            ("RELOAD_SIGNAL", "SIGUSR1"),
        ],
        remark: "SIGHUP also reloads, but cuts responses in progress",
    },
    Recipe {
        application: "sshd",
        settings: &[("PROCESS_NAME", "sshd")],
        remark: "re-executes itself; sessions continue",
    },
    Recipe {
        application: "gunicorn",
        settings: &[("PROCESS_NAME", "gunicorn")],
        remark: "as a script, or with setproctitle",
    },
    Recipe {
        application: "python -m gunicorn",
        settings: &[("PROCESS_CMDLINE", "-m gunicorn")],
        remark: "without setproctitle",
    },
    Recipe {
        application: "uwsgi",
        settings: &[("PROCESS_NAME", "uwsgi,uwsgi-core")],
        remark: "",
    },
    Recipe {
        application: "mysqld, mariadbd",
        settings: &[
            ("PROCESS_NAME", "mysqld,mariadbd"),
            ("PROCESS_MIN_AGE", "1m"),
        ],
        remark: "flushes logs and grants but does not read `my.cnf` again; crashes on SIGHUP while it starts",
    },
    Recipe {
        application: "postgresql",
        settings: &[("PROCESS_NAME", "postgres")],
        remark: "some parameters only take effect after a restart",
    },
    Recipe {
        application: "pgbouncer",
        settings: &[("PROCESS_NAME", "pgbouncer")],
        remark: "",
    },
    Recipe {
        application: "logstash",
        settings: &[
            ("PROCESS_CMDLINE", "org.logstash.Logstash"),
            ("PROCESS_MIN_AGE", "1m"),
        ],
        remark: "ends on SIGHUP until it has started",
    },
    Recipe {
        application: "haproxy -W",
        settings: &[("PROCESS_NAME", "haproxy"), ("RELOAD_SIGNAL", "SIGUSR2")],
        remark: "without `-W` it reads nothing again",
    },
    Recipe {
        application: "prometheus",
        settings: &[("PROCESS_NAME", "prometheus"), ("PROCESS_MIN_AGE", "10s")],
        remark: "ends on SIGHUP until it has started",
    },
    Recipe {
        application: "named",
        settings: &[("PROCESS_NAME", "named")],
        remark: "",
    },
    Recipe {
        application: "php-fpm",
        settings: &[("PROCESS_NAME", "php-fpm"), ("RELOAD_SIGNAL", "SIGUSR2")],
        remark: "re-executes itself; cuts requests unless `process_control_timeout` is set",
    },
    Recipe {
        application: "squid",
        settings: &[("PROCESS_NAME", "squid")],
        remark: "",
    },
];

/// The recipe of this name.
#[track_caller]
pub fn recipe(application: &str) -> &'static Recipe {
    RECIPES
        .iter()
        .find(|recipe| recipe.application == application)
        .unwrap_or_else(|| panic!("no recipe for {application}"))
}

impl Recipe {
    /// Adds its settings to others.
    pub fn set(&self, settings: Settings) -> Settings {
        self.settings
            .iter()
            .fold(settings, |settings, (name, value)| {
                settings.set(name, value)
            })
    }

    /// Its line in the table of docs/settings.md.
    pub fn row(&self) -> String {
        let settings: Vec<String> = self
            .settings
            .iter()
            .map(|(name, value)| format!("`{name}={value}`"))
            .collect();
        format!(
            "| {} | {} | {} |",
            self.application,
            settings.join(" "),
            self.remark
        )
        .replace("|  |", "| |")
    }
}
