"""Publishing rendered runs to a branch."""

from __future__ import annotations

import json
import subprocess
from email.utils import parseaddr

import pytest
from msgspec.structs import replace

from ftgen.diagnostics import Rejected
from ftgen.output.tree import FileChange, OnImmutableChange, State, WriteOptions, parse_lock
from ftgen.remote.gitops import Provenance, Result, publish, target_of
from ftgen.review.diff import Status


def files(git, repo, ref="main"):
    return git(repo, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", ref).splitlines()


def show(git, repo, path, ref="main"):
    return git(repo, "show", f"{ref}:{path}") + "\n"


def index(git, repo, path="training"):
    return parse_lock(show(git, repo, f"{path}/ftgen.lock").encode())


def to(repo, branch="main", path="training"):
    return target_of(str(repo), branch, path)


def codes(rejected):
    return [diagnostic.code for diagnostic in rejected.value.diagnostics]


def state_of(checkout, git):
    """What a user sees of a working copy, byte by byte."""
    status = git(checkout, "status", "--porcelain", "--untracked-files=all")
    return status, (checkout / ".git" / "index").read_bytes(), sorted(path.name for path in checkout.iterdir())


# to a local repository


def test_a_first_publish_to_an_empty_repository_starts_the_branch(bare, git, make_run, provenance):
    published = publish(to(bare), [make_run()], provenance)
    assert published.result is Result.COMMITTED
    assert published.summary == f"committed {published.commit[:10]} to main, a new branch: +1 ~0 -0"
    assert files(git, bare) == ["training/ftgen.lock", "training/sft/job-sft-1a2b3c4d.yaml"]
    assert show(git, bare, "training/sft/job-sft-1a2b3c4d.yaml").encode() == next(iter(make_run().files.values()))
    assert git(bare, "fsck", "--strict") == ""


def test_publishing_the_same_again_makes_no_commit(bare, git, make_run, provenance):
    first = publish(to(bare), [make_run()], provenance)
    second = publish(to(bare), [make_run()], provenance)
    assert second.result is Result.UNCHANGED
    assert second.commit == first.commit == git(bare, "rev-parse", "main")


def test_a_review_ends_with_the_changes_of_the_commit_that_was_made(bare, make_run, provenance):
    reviews = []

    def review(changes):
        reviews.append([change.status for change in changes])
        if len(reviews) == 1:
            publish(to(bare), [make_run(), make_run("other")], provenance)

    assert publish(to(bare), [make_run()], provenance, review=review).result is Result.UNCHANGED
    assert reviews == [[Status.ADDED], [Status.UNCHANGED]]


def test_a_retry_gives_the_same_commit_id(tmp_path, bare, git, make_run, provenance):
    other = tmp_path / "other.git"
    other.mkdir()
    git(other, "init", "--quiet", "--bare")
    assert publish(to(bare), [make_run()], provenance).commit == publish(to(other), [make_run()], provenance).commit


def test_a_working_copy_is_left_as_it_is(checkout, git, make_run, provenance):
    git(checkout, "branch", "gitops")
    before = state_of(checkout, git)
    published = publish(to(checkout, "gitops"), [make_run()], provenance)
    assert state_of(checkout, git) == before
    assert git(checkout, "rev-parse", "gitops") == published.commit
    assert files(git, checkout, "gitops") == [
        "README.md",
        "other.txt",
        "training/ftgen.lock",
        "training/sft/job-sft-1a2b3c4d.yaml",
    ]
    assert published.diagnostics == ()


@pytest.mark.parametrize("linked", [False, True])
def test_following_the_note_brings_the_files_of_the_commit_up_to_date_and_no_others(
    tmp_path, git, make_run, provenance, linked
):
    repository, other = tmp_path / "my repo", tmp_path / "it's"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=main")
    branch, place = ("gitops", other) if linked else ("main", repository)
    (repository / "training").mkdir()
    (repository / "training" / "notes.md").write_text("mine\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "first")
    if linked:
        git(repository, "worktree", "add", "--quiet", "-b", branch, str(other))
    for checkout in {repository, place}:
        (checkout / "training" / "notes.md").write_text("edited\n")
    for runs in ([make_run()], [make_run(h8="22222222")]):
        options = WriteOptions(adopt=True, on_immutable_change=OnImmutableChange.REPLACE)
        (told,) = publish(to(repository / ".git", branch), runs, provenance, options=options).diagnostics
        assert told.headline.startswith(f"{branch} is checked out in {place}, ")
        subprocess.run(told.help.split("`")[1], shell=True, check=True, cwd="/")
    assert git(place, "status", "--porcelain").split() == ["M", "training/notes.md"]
    assert (repository / "training" / "notes.md").read_text() == "edited\n"
    assert git(repository, "status", "--porcelain").split() == ["M", "training/notes.md"]


def test_a_branch_in_the_way_of_a_sweeps_own_is_named(bare, git, make_run, provenance):
    publish(to(bare, "ftgen"), [make_run()], provenance)
    with pytest.raises(Rejected) as rejected:
        publish(to(bare), [make_run()], provenance, branch_per_sweep=True)
    (problem,) = rejected.value.diagnostics
    assert problem.code == "FT524"
    assert problem.help.startswith("publish to another branch, or rename ftgen: ")
    git(bare, "branch", "-m", "ftgen", "renamed")
    assert publish(to(bare), [make_run()], provenance, branch_per_sweep=True).branch == "ftgen/sft"


def test_a_branch_that_is_checked_out_moves_and_its_files_do_not(checkout, git, make_run, provenance):
    index_before = (checkout / ".git" / "index").read_bytes()
    published = publish(to(checkout), [make_run()], provenance)
    assert (checkout / ".git" / "index").read_bytes() == index_before
    assert not (checkout / "training").exists()
    assert (checkout / "README.md").read_text() == "edited\n"
    (told,) = published.diagnostics
    assert told.code == "FT531"
    subprocess.run(told.help.split("`")[1], shell=True, check=True)
    assert (checkout / "training" / "ftgen.lock").exists()
    assert (checkout / "README.md").read_text() == "edited\n"


def test_a_linked_work_tree_is_a_repository_too(tmp_path, checkout, git, make_run, provenance):
    git(checkout, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    published = publish(to(tmp_path / "side", "gitops"), [make_run()], provenance)
    assert git(checkout, "rev-parse", "gitops") == published.commit


def test_publishing_at_the_root_of_a_branch_works(bare, git, make_run, provenance):
    publish(to(bare, path="."), [make_run()], provenance)
    assert files(git, bare) == ["ftgen.lock", "sft/job-sft-1a2b3c4d.yaml"]


def test_non_ascii_paths_are_published_as_they_are(bare, git, make_run, provenance):
    publish(to(bare, path="训练/ü"), [make_run("模型")], provenance)
    assert "训练/ü/模型/job-模型-1a2b3c4d.yaml" in files(git, bare)
    assert publish(to(bare, path="训练/ü"), [make_run("模型")], provenance).result is Result.UNCHANGED


def test_a_repository_of_the_longer_hash_works(tmp_path, git, make_run, provenance):
    place = tmp_path / "sha256.git"
    place.mkdir()
    git(place, "init", "--quiet", "--bare", "--object-format=sha256")
    assert len(publish(to(place), [make_run()], provenance).commit) == 64
    assert publish(to(place), [make_run()], provenance).result is Result.UNCHANGED


# what changes cost


def test_a_change_in_place_rewrites_the_file(bare, git, make_run, provenance):
    publish(to(bare), [make_run()], provenance)
    published = publish(to(bare), [make_run(available=1)], provenance)
    assert published.outcome.paths(FileChange.CHANGED) == ("sft/job-sft-1a2b3c4d.yaml",)
    assert "minAvailable: 1" in show(git, bare, "training/sft/job-sft-1a2b3c4d.yaml")


def test_a_change_that_makes_another_run_is_refused(bare, git, make_run, provenance):
    first = publish(to(bare), [make_run()], provenance)
    with pytest.raises(Rejected) as rejected:
        publish(to(bare), [make_run(h8="22222222")], provenance)
    assert codes(rejected) == ["FT506"]
    assert git(bare, "rev-parse", "main") == first.commit


def test_a_new_run_is_added_beside_the_old_one(bare, git, make_run, provenance):
    publish(to(bare), [make_run()], provenance)
    publish(
        to(bare),
        [make_run(h8="22222222")],
        provenance,
        options=WriteOptions(on_immutable_change=OnImmutableChange.KEEP),
    )
    states = {path: entry.state for path, entry in index(git, bare).files.items()}
    assert states == {"sft/job-sft-1a2b3c4d.yaml": State.ORPHANED, "sft/job-sft-22222222.yaml": State.ACTIVE}


def test_an_upgrade_of_the_naming_rule_renames_nothing(bare, git, make_run, provenance):
    from ftgen.output.tree import under_name

    run = make_run()
    publish(to(bare), [run], provenance)
    renamed = under_name(make_run(note="second"), "sft-99999999")
    published = publish(to(bare), [renamed], provenance)
    assert published.outcome.paths(FileChange.CHANGED) == ("sft/job-sft-1a2b3c4d.yaml",)
    assert "name: sft-1a2b3c4d" in show(git, bare, "training/sft/job-sft-1a2b3c4d.yaml")


def test_a_point_dropped_from_a_sweep_stays_published(bare, git, make_run, provenance):
    points = [make_run(label=str(number)) for number in range(3)]
    publish(to(bare), points, provenance)
    whole = WriteOptions(on_immutable_change=OnImmutableChange.REFUSE, whole=frozenset({"sft"}))
    published = publish(to(bare), points[:2], provenance, options=whole)
    assert [diagnostic.code for diagnostic in published.diagnostics] == ["FT511"]
    assert "training/sft/job-sft-2-1a2b3c4d.yaml" in files(git, bare)


# what is not ours


def test_foreign_files_are_kept(bare, git, checkout, make_run, provenance):
    git(checkout, "push", "--quiet", str(bare), "main")
    publish(to(bare), [make_run()], provenance)
    assert {"README.md", "other.txt"} <= set(files(git, bare))


def test_a_folder_that_is_not_ours_is_refused_and_shared_when_told(bare, git, checkout, make_run, provenance):
    git(checkout, "push", "--quiet", str(bare), "main")
    with pytest.raises(Rejected) as rejected:
        publish(to(bare, path=""), [make_run()], provenance)
    assert codes(rejected) == ["FT502"]
    publish(
        to(bare, path=""),
        [make_run()],
        provenance,
        options=WriteOptions(on_immutable_change=OnImmutableChange.REFUSE, adopt=True),
    )
    assert {"README.md", "ftgen.lock"} <= set(files(git, bare))


def commit_file(git, bare, path, content):
    """Somebody else commits a file to the server's branch."""
    clone = bare.parent / "somebody"
    if not clone.exists():
        git(bare.parent, "clone", "--quiet", str(bare), str(clone))
    git(clone, "pull", "--quiet", "--ff-only", "origin", "main")
    (clone / path).parent.mkdir(parents=True, exist_ok=True)
    (clone / path).write_text(content)
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "by hand")
    git(clone, "push", "--quiet", "origin", "HEAD:main")


def test_a_file_edited_in_the_repository_stops_publishing(bare, git, make_run, provenance):
    publish(to(bare), [make_run()], provenance)
    commit_file(git, bare, "training/sft/job-sft-1a2b3c4d.yaml", "kind: Job\n")
    with pytest.raises(Rejected) as rejected:
        publish(to(bare), [make_run()], provenance)
    assert codes(rejected) == ["FT503"]
    adopt, overwrite = (
        WriteOptions(on_immutable_change=OnImmutableChange.REFUSE, adopt=True),
        WriteOptions(on_immutable_change=OnImmutableChange.REFUSE, overwrite=True),
    )
    with pytest.raises(Rejected) as rejected:
        publish(to(bare), [make_run()], provenance, options=adopt)
    assert codes(rejected) == ["FT503"]
    assert publish(to(bare), [make_run()], provenance, options=overwrite).outcome.adopted
    assert publish(to(bare), [make_run()], provenance).result is Result.UNCHANGED


@pytest.mark.parametrize("path", ["training", "training/deep"])
def test_a_link_in_the_repository_is_not_followed(tmp_path, bare, git, make_run, provenance, path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    (clone / "training").symlink_to("/etc")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "a link")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    with pytest.raises(Rejected) as rejected:
        publish(to(bare, path=path), [make_run()], provenance)
    assert "FT501" in codes(rejected)


# the message


def test_submodules_beside_are_kept_and_inside_are_refused(tmp_path, checkout, bare, git, make_run, provenance):
    publish(to(bare), [make_run("theirs")], provenance)
    for place in ("beside", "training/inside"):
        git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(bare), place)
    git(checkout, "commit", "--quiet", "-m", "submodules")
    links = git(checkout, "ls-tree", "-r", "main").splitlines()
    published = publish(to(checkout, path="training/lab"), [make_run()], provenance)
    assert published.result is Result.COMMITTED
    assert [line for line in git(checkout, "ls-tree", "-r", "main").splitlines() if "commit" in line] == [
        line for line in links if "commit" in line
    ]
    with pytest.raises(Rejected) as rejected:
        publish(to(checkout, path="training/inside"), [make_run()], provenance, options=WriteOptions(adopt=True))
    assert set(codes(rejected)) == {"FT501"}


def test_a_commit_says_where_it_comes_from(bare, git, make_run, provenance):
    publish(to(bare), [make_run(label="a"), make_run(label="b")], provenance)
    assert git(bare, "log", "-1", "--format=%s", "main") == "ftgen: +2 ~0 -0 in sft"
    text = git(bare, "log", "-1", "--format=%(trailers:only,unfold)", "main")
    trailers = dict(line.split(": ", 1) for line in text.splitlines() if line)
    assert trailers == {
        "Ftgen-Version": "0.1.0",
        "Ftgen-Config-Sha256": "c" * 64,
        "Ftgen-Sweep": "sft",
        "Ftgen-Runs": "sft-a-1a2b3c4d sft-b-1a2b3c4d",
        "Argocd-reference-commit-repourl": "https://git.example.com/c",
        "Argocd-reference-commit-author": "Ada <ada@example.com>",
        "Argocd-reference-commit-date": "2026-01-02T03:04:05+00:00",
        "Argocd-reference-commit-subject": "Try lr",
        "Argocd-reference-commit-body": json.dumps("Two\nlines"),
        "Argocd-reference-commit-sha": "5" * 40,
    }
    assert git(bare, "log", "-1", "--format=%aI %cI", "main") == "2026-01-02T03:04:05+00:00 2026-01-02T03:04:05+00:00"


def test_a_commit_says_that_its_source_was_modified(bare, git, make_run, provenance):
    asked = "%(trailers:key=Ftgen-Source-Modified,valueonly)"
    publish(to(bare), [make_run("a")], provenance)
    assert git(bare, "log", "-1", f"--format={asked}", "main").strip() == ""
    publish(to(bare), [make_run("b")], replace(provenance, source=replace(provenance.source, dirty=True)))
    assert git(bare, "log", "-1", f"--format={asked}", "main").strip() == "true"


@pytest.mark.parametrize(
    "name", ["Ada", "Ada Lovelace", "Lovelace, Ada", 'A. "Ada" Lovelace', "Ada (she)", "Adä", "a@b"]
)
def test_the_source_author_is_a_mailbox(bare, git, make_run, provenance, name):
    """As Argo CD reads it, by RFC 5322."""
    source = replace(provenance.source, author=f"{name} <ada@example.com>")
    publish(to(bare), [make_run()], replace(provenance, source=source))
    told = git(bare, "log", "-1", "--format=%(trailers:key=Argocd-reference-commit-author,valueonly)", "main").strip()
    assert parseaddr(told) == (name, "ada@example.com")


def test_a_branch_that_did_not_exist_is_told(bare, make_run, provenance):
    assert "to main, a new branch: +1" in publish(to(bare), [make_run("a")], provenance).summary
    assert "to main: +1" in publish(to(bare), [make_run("b")], provenance).summary


def test_a_source_cannot_forge_trailers(bare, git, make_run, provenance):
    evil = replace(provenance.source, subject="x\nFtgen-Version: 9", body="y\n\nFtgen-Version: 9")
    publish(to(bare), [make_run()], Provenance("0.1.0", "", evil))
    assert git(bare, "log", "-1", "--format=%(trailers:key=Ftgen-Version,valueonly)", "main").strip() == "0.1.0"


def test_the_configured_name_signs_for_the_commit(tmp_path, bare, git, make_run, provenance):
    (tmp_path / "home" / ".gitconfig").write_text("[user]\nname = Grace\nemail = grace@example.com\n")
    publish(to(bare), [make_run()], provenance)
    assert git(bare, "log", "-1", "--format=%an %ae %cn", "main") == "Grace grace@example.com Grace"


def test_commits_are_signed_where_git_is_told_to(tmp_path, bare, git, make_run, provenance):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (tmp_path / "home" / ".gitconfig").write_text(
        "[user]\nname = Grace\nemail = grace@example.com\n"
        f"signingKey = {key}.pub\n[commit]\ngpgSign = true\n[gpg]\nformat = ssh\n"
    )
    publish(to(bare), [make_run()], provenance)
    assert "-----BEGIN SSH SIGNATURE-----" in git(bare, "cat-file", "commit", "main")


# what is refused before anything happens


@pytest.mark.parametrize(
    "repo",
    [
        "",
        "-oProxyCommand=x",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c 'touch x'",
        "fd::17",
        "ftp://example.com/x.git",
        "javascript://x",
        "ssh://-oProxyCommand=x/y",
        "https://user@-x/y",
        "a\nb",
    ],
)
def test_addresses_that_run_programs_are_refused(repo):
    with pytest.raises(Rejected) as rejected:
        target_of(repo, "main", "training")
    assert codes(rejected) == ["FT520"]


@pytest.mark.parametrize(
    "branch",
    [
        "",
        "-d",
        "a..b",
        "a b",
        "a~1",
        "@",
        "a.lock",
        "a@{1}",
        ".a",
        "a/",
        "/a",
        "a//b",
        "a\x00",
        "a\\b",
        "x/.y",
        "HEAD",
        "refs/heads/a",
    ],
)
def test_what_is_no_branch_is_refused(branch):
    with pytest.raises(Rejected) as rejected:
        target_of("repo", branch, "training")
    assert codes(rejected) == ["FT520"]


@pytest.mark.parametrize("path", ["../x", "/etc", "a/../b", "-x", "a\nb", ".git/hooks", "a/.GIT"])
def test_folders_outside_the_repository_are_refused(path):
    with pytest.raises(Rejected) as rejected:
        target_of("repo", "main", path)
    assert codes(rejected) == ["FT520"]


def test_a_password_in_an_address_is_not_repeated():
    with pytest.raises(Rejected) as rejected:
        target_of("ftp://ada:s3cret@example.com/x", "main", "")
    assert "s3cret" not in str(rejected.value)


def test_a_folder_without_a_repository_is_refused(tmp_path, make_run, provenance):
    with pytest.raises(Rejected) as rejected:
        publish(to(tmp_path), [make_run()], provenance)
    assert codes(rejected) == ["FT521"]


def test_a_run_without_a_final_name_is_refused(bare, make_run, provenance):
    with pytest.raises(Rejected) as rejected:
        publish(to(bare), [replace(make_run(), name="")], provenance)
    assert codes(rejected) == ["FT529"]


@pytest.mark.parametrize("flaw", ["dirty", "detached"])
def test_an_unclear_source_is_not_pushed_unless_told(bare, make_run, provenance, flaw):
    unclear = Provenance("0.1.0", "", replace(provenance.source, **{flaw: True}))
    url = to(f"file://{bare}")
    with pytest.raises(Rejected) as rejected:
        publish(url, [make_run()], unclear)
    assert codes(rejected) == ["FT523"]
    assert publish(url, [make_run()], unclear, allow_dirty=True).result is Result.PUSHED
