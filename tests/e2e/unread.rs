//! Servers that read their configuration only once. The signal has no effect on them, and the sidecar reports that.

use crate::app::{Application, update_is_reported_unread};
use crate::named::txt;
use crate::pod::Pod;
use crate::support::process::Settings;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;

struct Redis;

impl Application for Redis {
    const NAME: &str = "redis";
    const READS_AGAIN: bool = false;

    fn set(&self, settings: Settings) -> Settings {
        settings.set("PROCESS_NAME", "redis-server")
    }

    fn command(&self, pod: &Pod) -> Command {
        let mut command = Command::new("redis-server");
        command.arg(pod.path("volume/redis.conf"));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        let config = format!(
            "bind 127.0.0.1\nport {PORT}\nsave \"\"\nproc-title-template \"{{title}} {text}\"\n"
        );
        vec![("redis.conf".to_owned(), config)]
    }

    /// The answer to `CONFIG GET` is `*2`, then name and value, each after its length.
    fn answer(&self, pod: &Pod) -> Option<String> {
        let mut stream = pod.connect(PORT).ok()?;
        stream
            .write_all(b"CONFIG GET proc-title-template\r\n")
            .ok()?;
        let value = BufReader::new(stream).lines().nth(4)?.ok()?;
        Some(value.strip_prefix("{title} ")?.to_owned())
    }
}

struct Rsyslogd;

impl Application for Rsyslogd {
    const NAME: &str = "rsyslogd";
    const READS_AGAIN: bool = false;

    fn set(&self, settings: Settings) -> Settings {
        settings.set("PROCESS_NAME", "rsyslogd")
    }

    fn command(&self, pod: &Pod) -> Command {
        let mut command = Command::new("rsyslogd");
        command
            .args(["-n", "-iNONE", "-f"])
            .arg(pod.path("volume/rsyslog.conf"));
        command
    }

    fn payload(&self, pod: &Pod, text: &str) -> Vec<(String, String)> {
        let messages = pod.path("messages");
        let config = format!(
            r#"global(workDirectory="{}")
               module(load="imudp")
               input(type="imudp" address="127.0.0.1" port="{PORT}")
               template(name="text" type="string" string="{text}\n")
               action(type="omfile" file="{}" template="text")
            "#,
            pod.path("").display(),
            messages.display()
        );
        vec![("rsyslog.conf".to_owned(), config)]
    }

    /// Logs a message and returns the line that was written.
    fn answer(&self, pod: &Pod) -> Option<String> {
        let socket = pod
            .inside(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))
            .ok()?;
        socket
            .send_to(b"<13>hello", (Ipv4Addr::LOCALHOST, PORT))
            .ok()?;
        let messages = fs::read_to_string(pod.path("messages")).ok()?;
        Some(messages.lines().last()?.to_owned())
    }
}

struct Dnsmasq;

impl Application for Dnsmasq {
    const NAME: &str = "dnsmasq";
    const READS_AGAIN: bool = false;

    fn set(&self, settings: Settings) -> Settings {
        settings.set("PROCESS_NAME", "dnsmasq")
    }

    fn command(&self, pod: &Pod) -> Command {
        let mut command = Command::new("dnsmasq");
        command.args(["--keep-in-foreground", "--log-facility=-"]);
        let config = pod.path("volume/dnsmasq.conf");
        command.arg(format!("--conf-file={}", config.display()));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        let config = format!(
            "port=5300\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=root\npid-file\ntxt-record=example,{text}\n"
        );
        vec![("dnsmasq.conf".to_owned(), config)]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        txt(pod)
    }
}

const PORT: u16 = 6000;

#[test]
fn redis_is_reported() {
    update_is_reported_unread(Redis);
}

#[test]
fn rsyslogd_is_reported() {
    update_is_reported_unread(Rsyslogd);
}

#[test]
fn dnsmasq_is_reported_when_its_main_file_changes() {
    update_is_reported_unread(Dnsmasq);
}
