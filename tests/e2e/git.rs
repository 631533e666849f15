//! Configuration from git: checked out in place, or swapped in as git-sync does it.

use crate::support::process::{Settings, Talker, Target};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A repository at `path` that fetches its commits from the author's.
struct Repository {
    path: PathBuf,
    author: tempfile::TempDir,
}

impl Repository {
    fn new(path: PathBuf) -> Self {
        let repository = Self {
            path,
            author: tempfile::tempdir().unwrap(),
        };
        git(repository.author.path(), &["init", "--quiet", "."]);
        fs::create_dir_all(&repository.path).unwrap();
        git(&repository.path, &["init", "--quiet", "."]);
        repository
    }

    /// Commits `app.conf` with this content, and other files. Returns the hash of the fetched commit.
    fn commit(&self, content: &str) -> String {
        let author = self.author.path();
        fs::write(author.join("app.conf"), content).unwrap();
        fs::create_dir_all(author.join("conf.d/deep")).unwrap();
        for number in 0..50 {
            let file = format!("conf.d/deep/{number}.conf");
            fs::write(author.join(file), format!("{content} {number}")).unwrap();
        }
        git(author, &["add", "--all"]);
        git(author, &["commit", "--quiet", "--message", content]);
        let author = author.to_str().unwrap();
        git(&self.path, &["fetch", "--quiet", author, "HEAD"]);
        git(&self.path, &["rev-parse", "FETCH_HEAD"])
    }

    /// Does what git-sync does with a new commit: fills a new worktree and swaps the link to it. Returns the worktree's path.
    fn sync(&self, commit: &str, link: &Path) -> PathBuf {
        let worktree = self.path.join(".worktrees").join(commit);
        let path = worktree.to_str().unwrap();
        git(
            &self.path,
            &[
                "worktree",
                "add",
                "--quiet",
                "--force",
                "--detach",
                "--no-checkout",
                path,
                commit,
            ],
        );
        git(&worktree, &["reset", "--quiet", "--hard", commit]);
        let temporary = link.with_file_name("tmp-link");
        symlink(&worktree, &temporary).unwrap();
        fs::rename(temporary, link).unwrap();
        worktree
    }

    /// Does what git-sync later does with the old worktree.
    fn clean_up(&self, worktree: &Path) {
        fs::remove_dir_all(worktree).unwrap();
        git(&self.path, &["worktree", "prune"]);
    }
}

/// Runs git in `directory`, without the user's settings. Returns its output.
#[track_caller]
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        // No background process may outlive the command.
        .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
        .args([
            "-c",
            "user.name=author",
            "-c",
            "user.email=author@example.com",
        ])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Waits until a sidecar is idle. Returns the number of signals that it has sent.
fn signals(mut sidecar: Talker) -> usize {
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    log.iter()
        .filter(|line| line.contains("signal sent"))
        .count()
}

/// Syncs some commits, and removes each worktree after the next one's signal. `root` returns the watched root, given the directory
/// with `repository` and the link. Returns the number of signals.
fn synced(commits: usize, link: &str, root: impl FnOnce(&Path) -> PathBuf) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let repository = Repository::new(directory.path().join("repository"));
    let link = directory.path().join(link);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    let mut worktree = repository.sync(&repository.commit("start"), &link);
    let mut target = Target::start(&link.join("app.conf"));
    let mut sidecar = Settings::new(root(directory.path()), &target.name)
        // Longer than git's pauses between two steps.
        .set("RELOAD_SETTLE", "1s")
        .set("RELOAD_SETTLE_MAX", "1m")
        .set("RELOAD_MIN_INTERVAL", "0")
        .start();
    for number in 0..commits {
        let content = format!("commit {number}");
        let old = std::mem::replace(
            &mut worktree,
            repository.sync(&repository.commit(&content), &link),
        );
        while target.signalled().1 != content {}
        sidecar.wait_until_idle();
        repository.clean_up(&old);
        sidecar.wait_until_idle();
    }
    let count = signals(sidecar);
    assert_eq!(target.last(), Some(&*format!("commit {}", commits - 1)));
    count
}

#[test]
fn a_root_that_is_the_git_sync_link_gives_one_signal_per_sync() {
    assert_eq!(
        synced(3, "repository/current", |directory| directory
            .join("repository/current")),
        3
    );
}

#[test]
fn a_root_that_contains_the_git_sync_link_gives_one_signal_per_sync() {
    assert_eq!(
        synced(3, "links/current", |directory| directory.join("links")),
        3
    );
}

#[test]
fn a_root_with_the_whole_repository_gives_one_signal_per_sync_and_one_per_removed_worktree() {
    assert_eq!(
        synced(2, "repository/current", |directory| directory
            .join("repository")),
        4
    );
}

#[test]
fn only_a_checkout_of_other_content_gives_a_signal() {
    for whole in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        // A checkout changes the repository, too, so keep it outside the worktree.
        let repository = Repository::new(directory.path().join("repository"));
        let commits = ["start", "other"].map(|content| repository.commit(content));
        let worktree = repository.sync(&commits[0], &directory.path().join("current"));
        let mut target = Target::start(&worktree.join("app.conf"));
        let root = if whole {
            worktree.clone()
        } else {
            worktree.join("app.conf")
        };
        let sidecar = Settings::new(root, &target.name)
            .set("RELOAD_SETTLE", "1s")
            .set("RELOAD_SETTLE_MAX", "1m")
            .start();
        git(&worktree, &["checkout", "--quiet", &commits[1]]);
        assert_eq!(target.signalled().1, "other", "the directory: {whole}");
        git(&worktree, &["checkout", "--quiet", "--force", &commits[1]]);
        // Undoes a local change.
        fs::write(worktree.join("app.conf"), "meddled").unwrap();
        git(&worktree, &["checkout", "--quiet", "--", "app.conf"]);
        assert_eq!(signals(sidecar), 1, "the directory: {whole}");
    }
}
