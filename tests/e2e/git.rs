//! Configuration that comes by git: checked out in place, and swapped in as git-sync does it.

use crate::support::process::{Settings, Talker, Target};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A repository with its object store at `path`, and commits that are made elsewhere.
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

    /// Commits `app.conf` with this content and some files besides, and fetches that into the repository. Its hash.
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

    /// What git-sync does with a new commit: a worktree of its own, filled, and a link swapped onto it. Where the worktree is.
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

    /// What it does with the one before, later.
    fn clean_up(&self, worktree: &Path) {
        fs::remove_dir_all(worktree).unwrap();
        git(&self.path, &["worktree", "prune"]);
    }
}

/// Runs git in `directory`, without any settings of the user's. What it prints.
#[track_caller]
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        // Nothing is left to a process that outlives the command.
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

/// The number of signals that a sidecar has sent until it came to rest.
fn signals(mut sidecar: Talker) -> usize {
    sidecar.wait_at_rest();
    let (_, log) = sidecar.end();
    log.iter()
        .filter(|line| line.contains("signal sent"))
        .count()
}

/// Syncs some commits, and removes each worktree when the next one's signal has come. `root` finds the root in the directory
/// that holds `repository` and the link. How many signals that gives.
fn synced(commits: usize, link: &str, root: impl FnOnce(&Path) -> PathBuf) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let repository = Repository::new(directory.path().join("repository"));
    let link = directory.path().join(link);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    let mut worktree = repository.sync(&repository.commit("start"), &link);
    let mut target = Target::start(&link.join("app.conf"));
    let mut sidecar = Settings::new(root(directory.path()), &target.name)
        // Longer than git pauses between two of its steps.
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
        sidecar.wait_at_rest();
        repository.clean_up(&old);
        sidecar.wait_at_rest();
    }
    let count = signals(sidecar);
    assert_eq!(target.last(), Some(&*format!("commit {}", commits - 1)));
    count
}

#[test]
fn a_root_that_is_git_syncs_link_gives_one_signal_a_sync_and_none_when_the_old_worktree_goes() {
    assert_eq!(
        synced(3, "repository/current", |directory| directory
            .join("repository/current")),
        3
    );
}

#[test]
fn a_root_with_git_syncs_link_in_it_gives_one_signal_a_sync_and_none_when_the_old_worktree_goes() {
    assert_eq!(
        synced(3, "links/current", |directory| directory.join("links")),
        3
    );
}

#[test]
fn a_root_with_the_whole_repository_in_it_gives_one_signal_a_sync_and_one_when_the_old_worktree_goes()
 {
    assert_eq!(
        synced(2, "repository/current", |directory| directory
            .join("repository")),
        4
    );
}

#[test]
fn a_checkout_of_other_content_is_one_signal_and_one_of_the_same_is_none() {
    for whole in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        // The repository beside the worktree, as a checkout changes both.
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
        // Over what somebody has meddled with.
        fs::write(worktree.join("app.conf"), "meddled").unwrap();
        git(&worktree, &["checkout", "--quiet", "--", "app.conf"]);
        assert_eq!(signals(sidecar), 1, "the directory: {whole}");
    }
}
