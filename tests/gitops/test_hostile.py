"""Repositories that mean harm: nothing that they name is executed, and nothing outside them is touched."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from ftgen.diagnostics import Rejected
from ftgen.output.tree import WriteOptions
from ftgen.remote.gitops import Result, publish, source_of, target_of
from ftgen.remote.gitops.branch import BranchStore
from ftgen.remote.gitops.checkout import checked_out
from ftgen.remote.gitops.git import Git
from ftgen.remote.gitops.remote import _settings

PROGRAMS = (
    *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "core.fsmonitor", "core.sshCommand"),
    *("credential.helper", "gpg.program", "diff.external", "core.editor", "core.pager", "uploadpack.packObjectsHook"),
    *("core.askPass", "alias.commit-tree", "gpg.ssh.program", "core.gitProxy", "core.alternateRefsCommand"),
)
HOOKS = ("pre-commit", "post-commit", "reference-transaction", "pre-push", "post-index-change", "update", "pre-auto-gc")


def to(repo, branch="main", path="training"):
    return target_of(str(repo), branch, path)


def codes(rejected):
    return [problem.code for problem in rejected.value.diagnostics]


@pytest.fixture
def trap(tmp_path):
    """A program that must not run."""
    script, sprung = tmp_path / "trap.sh", tmp_path / "sprung"
    script.write_text(f"#!/bin/sh\necho $0 $@ >> {sprung}\nexit 1\n")
    script.chmod(0o755)
    yield script
    assert not sprung.exists(), sprung.read_text()


@pytest.fixture
def quiet(git):
    """Git as a fixture uses it in a repository that is set with traps."""

    def run(folder, *arguments):
        return git(folder, "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", *arguments)

    return run


@pytest.fixture
def hostile(checkout, quiet, trap):
    """A working copy that names the trap wherever git takes a program."""
    hooks = checkout / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        (hooks / name).symlink_to(trap)
    (checkout / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n*.yaml text eol=crlf ident\n")
    quiet(checkout, "add", ".gitattributes")
    quiet(checkout, "commit", "--quiet", "-m", "attributes")
    quiet(checkout, "branch", "gitops")
    for key in PROGRAMS:
        quiet(checkout, "config", key, str(trap))
    quiet(checkout, "config", "core.autocrlf", "true")
    return checkout


def test_nothing_of_the_repository_is_executed(hostile, quiet, make_run, provenance):
    before = (hostile / ".git" / "index").read_bytes()
    assert publish(to(hostile, "gitops"), [make_run()], provenance).result is Result.COMMITTED
    assert (hostile / ".git" / "index").read_bytes() == before
    blob = quiet(hostile, "cat-file", "blob", "gitops:training/sft/job-sft-1a2b3c4d.yaml")
    assert (blob + "\n").encode() == next(iter(make_run().files.values()))


def test_looking_at_the_source_executes_nothing_of_it(hostile):
    os.utime(hostile / "other.txt", (1, 1))
    assert source_of(hostile).dirty


def test_a_filter_of_the_users_own_is_used_to_look_at_the_source(tmp_path, checkout, git):
    """Large files are filtered; without the filter every one of them would look edited."""
    git(checkout, "checkout", "--quiet", "--force", "main")
    upper = tmp_path / "upper.sh"
    upper.write_text("#!/bin/sh\ntr a-z A-Z\n")
    upper.chmod(0o755)
    git(checkout, "config", "--global", "filter.upper.clean", str(upper))
    (checkout / ".gitattributes").write_text("other.txt filter=upper\n")
    git(checkout, "add", ".gitattributes")
    # With other attributes alone, git stages a file anew only where its times leave open whether it has changed.
    git(checkout, "add", "--renormalize", ".")
    git(checkout, "commit", "--quiet", "-m", "filtered")
    os.utime(checkout / "other.txt", (1, 1))
    assert not source_of(checkout).dirty


def test_a_submodule_of_the_source_executes_nothing(checkout, bare, git, quiet, make_run, provenance, trap):
    publish(to(bare), [make_run()], provenance)
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(bare), "sub")
    git(checkout, "commit", "--quiet", "-m", "submodule")
    (checkout / "sub" / ".gitattributes").write_text("* filter=evil\n")
    for key in ("core.fsmonitor", "filter.evil.clean"):
        git(checkout / "sub", "config", key, str(trap))
    for file in (checkout / "sub").rglob("*.yaml"):
        os.utime(file, (1, 1))
    assert source_of(checkout) is not None


def test_an_object_that_a_clone_lacks_is_not_fetched_by_a_program_of_its_choice(
    tmp_path, bare, git, make_run, provenance, trap
):
    publish(to(bare), [make_run("a")], provenance)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    publish(to(bare), [make_run("b")], provenance)
    settings = {"url": bare, "uploadpack": trap, "promisor": "true"}
    for key, value in settings.items():
        git(clone, "config", f"remote.evil.{key}", str(value))
    git(clone, "config", "extensions.partialClone", "evil")
    git(clone, "config", "core.repositoryFormatVersion", "1")
    assert publish(to(clone), [make_run("c")], provenance, push=True).result is Result.PUSHED


def test_a_remote_that_runs_programs_is_not_used(checkout, trap, git, make_run, provenance):
    git(checkout, "config", "remote.origin.url", f"ext::{trap}")
    with pytest.raises(Rejected) as rejected:
        publish(to(checkout), [make_run()], provenance, push=True)
    assert codes(rejected) == ["FT520"]


def test_an_address_is_not_rewritten_by_the_repository(checkout, bare, trap, git, make_run, provenance):
    git(checkout, "remote", "add", "origin", "http://127.0.0.1:1/x.git")
    git(checkout, "config", f"url.ext::{trap} .insteadOf", "http://127.0.0.1:1/")
    git(checkout, "config", f"url.{bare}.pushInsteadOf", "http://127.0.0.1:1/")
    for key in ("uploadpack", "receivepack", "vcs"):
        git(checkout, "config", f"remote.origin.{key}", str(trap))
    with pytest.raises(Rejected) as rejected:
        publish(to(checkout), [make_run()], provenance, push=True)
    assert codes(rejected) == ["FT525"]


def test_an_address_that_the_user_rewrites_to_a_program_is_refused_by_git(trap, git, bare, make_run, provenance):
    git(bare, "config", "--global", f"url.ext::{trap} .insteadOf", "http://127.0.0.1:1/")
    with pytest.raises(Rejected) as rejected:
        publish(to("http://127.0.0.1:1/x.git"), [make_run()], provenance)
    assert "not allowed" in rejected.value.diagnostics[0].headline


def test_the_index_is_not_written_over_a_folder_of_its_name(tmp_path, bare, git, make_run, provenance):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    (clone / "training" / "ftgen.lock").mkdir(parents=True)
    (clone / "training" / "ftgen.lock" / "theirs").write_text("theirs\n")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "a folder")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    with pytest.raises(Rejected) as rejected:
        publish(to(bare), [make_run()], provenance, options=WriteOptions(adopt=True))
    assert codes(rejected) == ["FT502"]


def test_the_environment_of_a_hook_leads_nowhere_else(monkeypatch, tmp_path, bare, git, make_run, provenance):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere" / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "elsewhere" / "objects"))
    monkeypatch.setenv("GIT_CONFIG", str(tmp_path / "elsewhere" / "config"))
    assert publish(to(bare), [make_run()], provenance).result is Result.COMMITTED
    monkeypatch.undo()
    assert not (tmp_path / "elsewhere").exists()
    assert git(bare, "ls-tree", "-r", "--name-only", "main").count("\n") == 1


# passwords


def test_a_password_is_on_no_command_line(http, make_run, provenance):
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(process.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        publish(to(http.url), [make_run()], provenance)
    finally:
        stop.set()
        watcher.join()
    assert any(b"remote-http" in line for line in seen)
    assert not any(b"s3cret" in line for line in seen)


def test_a_password_is_handed_to_no_helper(tmp_path, git, bare, http, make_run, provenance):
    kept = tmp_path / "kept"
    git(bare, "config", "--global", "credential.helper", f"store --file={kept}")
    assert publish(to(http.url), [make_run()], provenance).result is Result.PUSHED
    assert not kept.exists()


def test_a_helper_of_the_users_own_gives_the_password(tmp_path, git, bare, http, make_run, provenance):
    kept = tmp_path / "kept"
    plain = http.url.replace("ada:s3cret@", "")
    kept.write_text(http.url.replace("/training.git", "") + "\n")
    assert "credentials" in refused(plain, make_run, provenance).help
    git(bare, "config", "--global", "credential.helper", f"store --file={kept}")
    assert publish(to(plain), [make_run()], provenance).result is Result.PUSHED


def test_settings_from_the_environment_are_kept(monkeypatch, http, make_run, provenance):
    """Pipelines hand git its token so."""
    plain = http.url.replace("ada:s3cret@", "")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"http.{plain}.extraHeader")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Authorization: Basic YWRhOnMzY3JldA==")
    assert publish(to(plain), [make_run()], provenance).result is Result.PUSHED


def refused(url, make_run, provenance):
    with pytest.raises(Rejected) as rejected:
        publish(to(url), [make_run()], provenance)
    (problem,) = rejected.value.diagnostics
    return problem


@pytest.mark.parametrize("password", ["p/w", "p@w0rd", "p:w0rd", "p%40w"])
def test_no_spelling_of_a_password_is_repeated(password, make_run, provenance):
    problem = refused(f"http://ada:{password}@127.0.0.1:1/x.git", make_run, provenance)
    told = f"{problem.headline} {problem.help} {problem.subject} {problem.value}"
    assert password not in told
    assert "w0rd" not in told


HELD = ("HEAD", "config", "packed-refs", "commondir", "refs/heads/main", "info/attributes", "objects/info/alternates")
MAPPED = ("index", "objects/ab/cdef")
"""What git does not read whole, so that its size is no harm."""


@pytest.mark.parametrize(
    ("kind", "name"),
    [*product(("device", "fifo", "sparse"), HELD), *product(("device", "fifo"), MAPPED)],
)
def test_git_is_not_started_where_it_would_read_without_end(kind, name, checkout, make_run, provenance):
    place = checkout / ".git" / name
    place.unlink(missing_ok=True)
    place.parent.mkdir(exist_ok=True)
    if kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        place.touch()
        os.truncate(place, 20 << 30)
    for look in (lambda: source_of(checkout), lambda: publish(to(checkout), [make_run()], provenance)):
        with pytest.raises(Rejected) as rejected:
            look()
        assert codes(rejected) == ["FT521"]
        assert str(place) in rejected.value.diagnostics[0].headline


@pytest.mark.parametrize("name", [".gitattributes", ".gitignore", "conf/.gitignore"])
def test_a_work_tree_whose_settings_are_no_files_is_not_looked_at(name, checkout):
    place = checkout / name
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    with pytest.raises(Rejected) as rejected:
        source_of(checkout)
    assert codes(rejected) == ["FT521"]


def test_what_others_keep_in_a_repository_holds_nobody_up(checkout, make_run, provenance, monkeypatch):
    monkeypatch.chdir(checkout / ".git")  # the path of a socket holds 107 bytes at most
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind("fsmonitor--daemon.ipc")
    (checkout / ".git" / "lost").symlink_to("nowhere")
    (checkout / ".git" / "refs").rename(checkout.parent / "refs")
    (checkout / ".git" / "refs").symlink_to(checkout.parent / "refs")
    assert source_of(checkout)
    with pytest.raises(Rejected) as rejected:
        publish(to(checkout, "gitops"), [make_run()], provenance)
    assert "refs is a link, and nothing is written behind it" in rejected.value.diagnostics[0].headline
    (checkout / ".git" / "refs").unlink()
    (checkout.parent / "refs").rename(checkout / ".git" / "refs")
    assert publish(to(checkout, "gitops"), [make_run()], provenance).result is Result.COMMITTED


def test_an_index_of_a_branch_that_is_too_large_is_not_read(checkout, git, make_run, provenance):
    place = checkout / "training" / "ftgen.lock"
    place.parent.mkdir()
    place.touch()
    os.truncate(place, 65 << 20)
    git(checkout, "add", "training")
    git(checkout, "commit", "--quiet", "-m", "large")
    with pytest.raises(Rejected) as rejected:
        publish(to(checkout), [make_run()], provenance)
    assert codes(rejected) == ["FT521"]
    assert "more than 64 MiB" in rejected.value.diagnostics[0].headline


# --- what a repository leads to --------------------------------------------------------------------------


def headline(rejected):
    (problem,) = rejected.value.diagnostics
    assert problem.code == "FT521"
    return problem.headline


@pytest.mark.parametrize("name", ["logs/refs/heads/main", "logs/refs/heads", "logs/HEAD", "refs/heads", "objects"])
def test_no_link_of_a_repository_is_written_behind(name, checkout, make_run, provenance, tmp_path):
    """Git appends to a log of references wherever it leads: to a shell's own file, for instance."""
    theirs = tmp_path / "theirs"
    place = checkout / ".git" / name
    place.rename(theirs)
    place.symlink_to(theirs)
    before = sorted((str(file), file.stat().st_size) for file in (theirs, *theirs.rglob("*")))

    with pytest.raises(Rejected) as rejected:
        publish(to(checkout), [make_run()], provenance)
    assert f"{place} is a link, and nothing is written behind it" == headline(rejected)
    assert sorted((str(file), file.stat().st_size) for file in (theirs, *theirs.rglob("*"))) == before


def test_a_folder_of_objects_that_is_a_link_is_not_written_behind(checkout, make_run, provenance, tmp_path):
    for number in range(256):
        place = checkout / ".git" / "objects" / f"{number:02x}"
        if not place.exists():
            place.symlink_to(tmp_path)

    with pytest.raises(Rejected) as rejected:
        publish(to(checkout), [make_run()], provenance)
    assert "is a link" in headline(rejected)


def test_a_branch_that_is_another_name_moves_no_other(checkout, git, make_run, provenance):
    git(checkout, "branch", "release")
    git(checkout, "symbolic-ref", "refs/heads/gitops", "refs/heads/release")

    with pytest.raises(Rejected) as rejected:
        publish(to(checkout, "gitops"), [make_run()], provenance)
    assert "is another name of refs/heads/release" in headline(rejected)


@pytest.mark.parametrize("kind", ["a file", "a commondir"])
def test_a_repository_that_leads_to_another_writes_nothing_there(kind, checkout, git, make_run, provenance, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    if kind == "a file":
        (here / ".git").write_text(f"gitdir: {checkout / '.git'}\n")
    else:
        git(here, "init", "--quiet", "--initial-branch=main")
        (here / ".git" / "commondir").write_text(f"{checkout / '.git'}\n")
    before = git(checkout, "rev-parse", "main")

    with pytest.raises(Rejected) as rejected:
        publish(to(here), [make_run()], provenance)
    assert "which knows nothing of it" in headline(rejected)
    assert git(checkout, "rev-parse", "main") == before


def test_a_work_tree_and_a_submodule_lead_to_their_own(checkout, git, make_run, provenance, tmp_path):
    git(checkout, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    assert publish(to(tmp_path / "side", "gitops"), [make_run()], provenance).result is Result.COMMITTED

    git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(checkout), "inner")
    assert publish(to(checkout / "inner", "gitops"), [make_run()], provenance).result is Result.COMMITTED


def test_hooks_of_a_remote_that_a_clone_names_do_not_run(checkout, bare, git, make_run, provenance, trap):
    git(checkout, "push", "--quiet", str(bare), "main")
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction"):
        (bare / "hooks" / name).symlink_to(trap)
    git(bare, "config", "core.alternateRefsCommand", str(trap))
    git(checkout, "remote", "add", "origin", str(bare))

    assert publish(to(checkout), [make_run()], provenance, push=True).result is Result.PUSHED


@pytest.mark.parametrize("named", ["typed", "by a clone"])
def test_a_repository_that_lacks_its_objects_fetches_nothing(
    named, checkout, bare, git, make_run, provenance, trap, tmp_path
):
    """With GIT_NO_LAZY_FETCH=0 in its environment, git's server would run the command that the repository names."""
    git(checkout, "push", "--quiet", str(bare), "main")
    evil = tmp_path / "evil.git"
    evil.mkdir()
    git(evil, "init", "--quiet", "--bare", "--initial-branch=main")
    settings = {"core.repositoryFormatVersion": "1", "extensions.partialClone": "origin"}
    settings |= {
        "remote.origin.promisor": "true",
        "remote.origin.url": str(bare),
        "remote.origin.uploadpack": str(trap),
    }
    for key, value in settings.items():
        git(evil, "config", key, value)
    (evil / "refs" / "heads" / "main").write_text(git(checkout, "rev-parse", "main") + "\n")
    git(checkout, "remote", "add", "origin", str(evil))
    target, push = (to(f"file://{evil}"), False) if named == "typed" else (to(checkout), True)

    with pytest.raises(Rejected):
        publish(target, [make_run()], provenance, push=push)


def test_the_way_to_a_server_is_the_users(checkout, git):
    """A proxy that a clone names would get the user's own login."""
    chosen = ("http.proxy", "http.sslVerify", "http.sslCAInfo", "http.curloptResolve", "http.https://a.example/.proxy")
    for key in chosen:
        git(checkout, "config", key, "x")
    git(checkout, "config", "http.https://a.example/.extraHeader", "Authorization: Basic eA==")
    found = _settings(Git(checkout / ".git"))

    assert {key for key in found if key.startswith("http")} == {"http.https://a.example/.extraheader"}


@pytest.mark.parametrize("how", ["damaged", "assumed unchanged", "skipped"])
def test_a_checkout_that_hides_its_changes_is_not_clean(how, checkout, git):
    git(checkout, "checkout", "--quiet", "--force", "main")
    git(checkout, "reset", "--quiet", "--hard")
    assert not source_of(checkout).dirty
    (checkout / "README.md").write_text("changed behind git's back\n")
    if how == "damaged":
        (checkout / ".git" / "index").write_bytes(b"junk")
        with pytest.raises(Rejected) as rejected:
            source_of(checkout)
        assert "git cannot tell whether" in headline(rejected)
        return
    git(
        checkout, "update-index", "--assume-unchanged" if how == "assumed unchanged" else "--skip-worktree", "README.md"
    )
    assert source_of(checkout).dirty


def named_in_the_configuration(checkout, place, section, key):
    """Write a setting as git does, which would itself wait for the file that it names."""
    os.mkfifo(place)
    with (checkout / ".git" / "config").open("a", encoding="utf-8") as file:
        file.write(f"[{section}]\n\t{key} = {place}\n")


@pytest.fixture
def hurried(monkeypatch):
    """Git that is given half a second."""
    monkeypatch.setattr("ftgen.remote.gitops.git._AT_ONCE", 0.5)


@pytest.mark.usefixtures("hurried")
def test_a_configuration_that_git_waits_for_ends_the_question(checkout, make_run, provenance, tmp_path):
    """Nobody writes into the FIFO; git would wait for the rest of the day."""
    named_in_the_configuration(checkout, tmp_path / "fifo", "include", "path")
    for look in (lambda: source_of(checkout), lambda: publish(to(checkout), [make_run()], provenance)):
        with pytest.raises(Rejected) as rejected:
            look()
        assert "git does not answer in" in headline(rejected)
        assert "include.path" in rejected.value.diagnostics[0].help


@pytest.mark.usefixtures("hurried")
def test_an_object_that_git_waits_for_ends_the_question(checkout, git, make_run, provenance):
    """Whatever was overlooked: a started command is not waited for either."""
    publish(to(checkout), [make_run()], provenance)
    destination = Git(checkout / ".git", env={"GIT_OBJECT_DIRECTORY": str(checkout / ".git" / "objects")})
    name = git(checkout, "rev-parse", "main:training/ftgen.lock")
    place = checkout / ".git" / "objects" / name[:2] / name[2:]
    store = BranchStore(destination, git(checkout, "rev-parse", "main"), "training", "here")
    place.unlink()
    os.mkfifo(place)
    with closing(store), pytest.raises(Rejected) as rejected:
        store.lock()
    assert "git does not answer in" in headline(rejected)


def test_an_answer_that_comes_over_a_network_is_waited_for(checkout, monkeypatch):
    """A clone without blobs fetches each that is read."""
    monkeypatch.setattr("ftgen.remote.gitops.git._AT_ONCE", 0.01)
    git = Git(checkout / ".git", env={"GIT_ALLOW_PROTOCOL": "https"})
    process = git.open("cat-file", "--batch")
    answer = threading.Timer(0.3, lambda: (process.stdin.write(b"HEAD\n"), process.stdin.flush()))
    answer.start()
    assert git.answer(process).readline().split()[1] == b"commit"
    answer.join()
    process.kill()
    process.communicate()


def test_files_of_the_work_tree_that_git_would_wait_for_are_told(checkout, git, tmp_path):
    (checkout / "sub" / "inner").mkdir(parents=True)
    (checkout / "sub" / "inner" / "file").touch()
    git(checkout, "add", "sub")
    place = checkout / "sub" / ".gitattributes"
    os.mkfifo(place)
    with pytest.raises(Rejected) as rejected:
        source_of(checkout)
    assert headline(rejected).startswith(f"{place} cannot be read: it is a FIFO")

    place.unlink()
    assert source_of(checkout)
    named_in_the_configuration(checkout, tmp_path / "fifo", "core", "excludesFile")
    with pytest.raises(Rejected) as rejected:
        source_of(checkout)
    assert headline(rejected).startswith(f"{tmp_path / 'fifo'} cannot be read: it is a FIFO")


@pytest.mark.parametrize("kind", ["a submodule", "a repository among the options"])
def test_a_repository_in_the_work_tree_is_looked_at_as_the_outer_one(kind, checkout, bare, git, make_run, provenance):
    publish(to(bare), [make_run()], provenance)
    if kind == "a submodule":
        git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(bare), "sub")
        head = checkout / ".git" / "modules" / "sub" / "HEAD"
    else:
        git(checkout, "clone", "--quiet", str(bare), "conf/inner")
        head = checkout / "conf" / "inner" / ".git" / "HEAD"
    assert source_of(checkout)

    head.unlink()
    os.mkfifo(head)
    with pytest.raises(Rejected) as rejected:
        source_of(checkout)
    assert headline(rejected).startswith(f"{head} cannot be read: it is a FIFO")


def test_references_behind_a_link_are_looked_at(checkout):
    heads = checkout / ".git" / "refs" / "heads"
    heads.rename(checkout / "heads")
    heads.symlink_to(checkout / "heads")
    assert source_of(checkout)

    (heads / "main").unlink()
    os.mkfifo(heads / "main")
    with pytest.raises(Rejected) as rejected:
        source_of(checkout)
    assert "heads/main cannot be read: it is a FIFO" in headline(rejected)


def test_a_link_out_of_a_repository_is_not_followed_without_end(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr("ftgen.remote.gitops.address._MOST_FILES", 200)
    assert source_of(checkout)
    (tmp_path / "elsewhere").mkdir()
    for number in range(200):
        (tmp_path / "elsewhere" / f"{number}").touch()
    (checkout / ".git" / "x").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Rejected) as rejected:
        source_of(checkout)
    assert "more than 200 files lie in it" in headline(rejected)


@pytest.mark.parametrize("place", [".git/refs/a", "conf", "overlays/a"])
def test_folders_that_nobody_needs_so_deep_are_told(place, checkout):
    (checkout / place).joinpath(*["d"] * 101).mkdir(parents=True)
    with pytest.raises(Rejected) as rejected:
        source_of(checkout)
    assert "more than 100 deep" in headline(rejected)


# --- borrowed objects ------------------------------------------------------------------------------------


def borrow(checkout, *lines):
    place = checkout / ".git" / "objects" / "info" / "alternates"
    place.parent.mkdir(exist_ok=True)
    place.write_text("".join(f"{line}\n" for line in lines))
    return place


def test_a_repository_that_borrows_objects_is_one_to_publish_to(checkout, git, make_run, provenance, tmp_path):
    git(tmp_path, "clone", "--quiet", "--shared", str(checkout), "shared")
    assert publish(to(tmp_path / "shared"), [make_run()], provenance).result is Result.COMMITTED
    assert source_of(tmp_path / "shared")


@pytest.mark.parametrize("way", ["at once", "through another"])
def test_an_object_to_borrow_that_git_would_wait_for_is_told(way, checkout, make_run, provenance, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name / "info").mkdir(parents=True)
    (tmp_path / "second" / "ab").mkdir()
    fifo = tmp_path / "second" / "ab" / ("0" * 38)
    os.mkfifo(fifo)
    (tmp_path / "first" / "info" / "alternates").write_text(f"# a comment\n{tmp_path / 'second'}\n")
    borrow(checkout, "../../../second" if way == "at once" else str(tmp_path / "first"), "/nowhere")
    for look in (lambda: source_of(checkout), lambda: publish(to(checkout), [make_run()], provenance)):
        with pytest.raises(Rejected) as rejected:
            look()
        assert headline(rejected).startswith(f"{fifo} cannot be read: it is a FIFO")


def test_objects_that_are_borrowed_in_a_circle_end(checkout):
    borrow(checkout, checkout / ".git" / "objects")
    assert source_of(checkout)


@pytest.mark.parametrize(
    ("lines", "words"), [(['"/a\\tb"'], "in quotes"), ([f"/nowhere/{n}" for n in range(60)], "more than 50 others")]
)
def test_objects_are_not_borrowed_from_just_anywhere(checkout, lines, words):
    borrow(checkout, *lines)
    with pytest.raises(Rejected) as rejected:
        source_of(checkout)
    assert words in headline(rejected)


@pytest.mark.parametrize("how", ["typed", "a clone's"])
def test_a_remote_on_this_machine_is_looked_at_as_a_clone(how, checkout, bare, git, make_run, provenance):
    fifo = bare / "refs" / "heads" / "main"
    os.mkfifo(fifo)
    git(checkout, "config", "remote.origin.url", str(bare))
    target, push = (to(f"file://{bare}"), False) if how == "typed" else (to(checkout), True)
    with pytest.raises(Rejected) as rejected:
        publish(target, [make_run()], provenance, push=push)
    assert headline(rejected).startswith(f"{fifo} cannot be read: it is a FIFO")


# --- trees that are larger than any disk -----------------------------------------------------------------


@pytest.fixture
def bomb(bare, git, tmp_path):
    """A folder of 10^9 files in ten objects, beside `a.txt`, on `main`."""

    def tree(*lines):
        listed = tmp_path / "listed"
        listed.write_text("".join(f"{line}\n" for line in lines))
        with listed.open() as stdin:
            line = ["git", "-C", str(bare), "mktree"]
            return subprocess.run(line, stdin=stdin, capture_output=True, text=True, check=True).stdout.strip()

    (tmp_path / "a.txt").write_text("a\n")
    name = git(bare, "hash-object", "-w", str(tmp_path / "a.txt"))
    made = tree(*(f"100644 blob {name}\t{number}" for number in range(10)))
    for _ in range(8):
        made = tree(*(f"040000 tree {made}\t{number}" for number in range(10)))
    top = tree(f"040000 tree {made}\tbomb", f"100644 blob {name}\ta.txt")
    git(bare, "update-ref", "refs/heads/main", git(bare, "commit-tree", "-m", "bomb", top))
    return bare


@pytest.mark.parametrize("path", ["", "bomb", "bomb/1/2"])
def test_a_folder_of_more_files_than_anybody_commits_is_not_listed(path, bomb, make_run, provenance):
    for target, push in ((to(bomb, path=path), False), (to(f"file://{bomb}", path=path), True)):
        with pytest.raises(Rejected) as rejected:
            publish(target, [make_run()], provenance, push=push)
        assert "has more than 100000 files" in headline(rejected)


@pytest.mark.parametrize("path", ["training", "training/a", "bomb/new"])
def test_what_lies_beside_the_folder_is_kept_unread(path, bomb, git, make_run, provenance):
    before = git(bomb, "rev-parse", "main:bomb/1", "main:a.txt")
    for run in (make_run("a"), make_run("b")):
        assert publish(to(bomb, path=path), [run], provenance).result is Result.COMMITTED
    assert git(bomb, "rev-parse", "main:bomb/1", "main:a.txt") == before
    names = git(bomb, "ls-tree", "-r", "--name-only", f"main:{path}").splitlines()
    assert names == ["a/job-a-1a2b3c4d.yaml", "b/job-b-1a2b3c4d.yaml", "ftgen.lock"]


def test_a_file_on_the_way_to_the_folder_is_told(bomb, make_run, provenance):
    with pytest.raises(Rejected) as rejected:
        publish(to(bomb, path="a.txt/b"), [make_run()], provenance)
    assert set(codes(rejected)) == {"FT501"}


def test_a_data_set_of_more_files_than_anybody_commits_is_not_checked_out(bomb):
    with pytest.raises(Rejected) as rejected, checked_out(f"file://{bomb}", "main"):
        pass
    assert "has more than 100000 files" in headline(rejected)


def test_a_data_set_larger_than_one_is_checked_out_is_told_by_its_size(checkout, git, monkeypatch):
    url = f"file://{checkout}"
    size = len("hello\n") + len("other\n")
    monkeypatch.setattr("ftgen.remote.gitops.checkout._LARGEST", size)
    with checked_out(url, "main") as folder:
        assert sorted(file.name for file in folder.iterdir()) == ["README.md", "other.txt"]
    monkeypatch.setattr("ftgen.remote.gitops.checkout._LARGEST", size - 1)
    with pytest.raises(Rejected) as rejected, checked_out(url, "main"):
        pass
    assert "its files hold more than" in headline(rejected)


def test_a_data_set_that_is_too_deep_to_be_removed_is_not_checked_out(checkout, git):
    place = checkout.joinpath(*["d"] * 101)
    place.mkdir(parents=True)
    (place / "a").touch()
    git(checkout, "add", "d")
    git(checkout, "commit", "--quiet", "-m", "deep")
    with pytest.raises(Rejected) as rejected, checked_out(f"file://{checkout}", "main"):
        pass
    assert "more than 100 deep" in headline(rejected)


def test_a_map_of_authors_is_not_read(checkout):
    os.mkfifo(checkout / ".mailmap")
    assert source_of(checkout).author
