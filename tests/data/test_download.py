"""The downloader, against a mirror folder and a server of this machine."""

import errno
import hashlib
import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock

from attrpriors.data import beataml, cifar10, download, fashion_mnist, gdsc, mnist, nhanes, nhanes_paper
from attrpriors.data.download import File, bring_all, git_blob_id, verified

CONTENT = b"age,income\n40,1\n" * 1000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Server:
    """Serves a folder on a free port and counts what is asked; `half` paths break off in the middle."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.half, self.failures = folder, [], False, 0
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                if server.failures:
                    server.failures -= 1
                    self.send_error(503)
                elif server.half:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(CONTENT)))
                    self.end_headers()
                    self.wfile.write(CONTENT[: len(CONTENT) // 2])
                else:
                    super().do_GET()

            def log_message(self, *message: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0.0)
    (tmp_path / "public" / "survey").mkdir(parents=True)
    (tmp_path / "public" / "survey" / "table one.csv").write_bytes(CONTENT)
    server = Server(tmp_path / "public")
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def file(server: Server) -> File:
    return File("survey/table one.csv", f"{server.address}/survey/table%20one.csv", sha256(CONTENT))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def left(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_missing_file_is_fetched_and_a_second_call_opens_no_connection(server, file, root, capsys):
    assert bring_all(root, [file]) == {file.path: "fetched"}
    assert verified(root, file).read_bytes() == CONTENT
    assert len(server.asked) == 1
    assert bring_all(root, [file]) == {file.path: "present"}
    assert len(server.asked) == 1
    assert capsys.readouterr().out == "fetched  survey/table one.csv\npresent  survey/table one.csv\n"


def test_a_mirror_folder_is_copied_from_and_no_connection_is_opened(server, file, root):
    assert bring_all(root, [file], mirror=str(server.folder)) == {file.path: "copied"}
    assert verified(root, file).read_bytes() == CONTENT
    assert server.asked == []


def test_a_mirror_address_stands_before_the_path(server, root):
    file = File("survey/table one.csv", "http://127.0.0.1:9/never-asked", sha256(CONTENT))
    assert bring_all(root, [file], mirror=server.address + "/") == {file.path: "fetched"}
    assert server.asked == ["/survey/table%20one.csv"]


def test_a_file_that_the_mirror_lacks_fails_and_the_next_one_is_copied(server, file, root, capsys):
    missing = File("survey/other.csv", file.url, file.sha256)
    assert bring_all(root, [missing, file], str(server.folder)) == {missing.path: "failed", file.path: "copied"}
    assert "failed   survey/other.csv: not in mirror\n" in capsys.readouterr().out


def test_an_altered_source_is_never_used(server, file, root, capsys):
    (server.folder / file.path).write_bytes(b"x" + CONTENT[1:])
    found = sha256(b"x" + CONTENT[1:])
    for mirror in ("", str(server.folder)):
        assert bring_all(root, [file], mirror) == {file.path: "failed"}
        assert f"sha256 differs: found {found}, expected {file.sha256}" in capsys.readouterr().out
        assert left(root) == []


def test_an_interrupted_download_is_tried_again_and_leaves_nothing(server, file, root, capsys):
    server.half = True
    assert bring_all(root, [file]) == {file.path: "failed"}
    assert len(server.asked) == download.ATTEMPTS
    assert "the download broke off" in capsys.readouterr().out
    assert left(root) == []


def test_a_server_that_recovers_is_fetched_from(server, file, root):
    server.failures = download.ATTEMPTS - 1
    assert bring_all(root, [file]) == {file.path: "fetched"}


def test_a_refused_address_is_asked_once(server, file, root, capsys):
    gone = File("gone.csv", f"{server.address}/gone.csv", file.sha256)
    assert bring_all(root, [gone]) == {"gone.csv": "failed"}
    assert server.asked == ["/gone.csv"]
    assert "gone.csv: 404 File not found" in capsys.readouterr().out


def test_without_a_network_each_file_fails_with_the_reason_and_each_host_is_tried_for_one_file_only(
    server, file, root, capsys, monkeypatch
):
    server.http.shutdown()
    server.http.server_close()
    calls = []
    fetch = download.pooch.HTTPDownloader.__call__
    monkeypatch.setattr(download.pooch.HTTPDownloader, "__call__", lambda *given: calls.append(given) or fetch(*given))
    other = File("other.csv", f"{server.address}/other.csv", file.sha256)
    assert bring_all(root, [file, other]) == {file.path: "failed", "other.csv": "failed"}
    assert len(calls) == download.ATTEMPTS
    lines = capsys.readouterr().out.splitlines()
    assert all("no connection to 127.0.0.1" in line for line in lines)
    assert left(root) == []


def test_an_altered_file_is_replaced_only_after_a_good_download(server, file, root, capsys):
    (root / "survey").mkdir(parents=True)
    (root / file.path).write_bytes(b"mine")
    server.half = True
    assert bring_all(root, [file]) == {file.path: "failed"}
    assert (root / file.path).read_bytes() == b"mine"
    assert "the altered file is left" in capsys.readouterr().out
    server.half = False
    assert bring_all(root, [file]) == {file.path: "fetched"}
    assert (root / file.path).read_bytes() == CONTENT
    assert "in place of an altered file" in capsys.readouterr().out


def test_the_remains_of_a_killed_process_are_neither_used_nor_kept(file, root):
    (root / "survey").mkdir(parents=True)
    (root / (file.path + ".part")).write_bytes(CONTENT[:100])
    assert bring_all(root, [file]) == {file.path: "fetched"}
    assert left(root) == [file.path]


def test_a_full_disk_is_said_and_leaves_nothing_half_written(server, file, root, capsys, monkeypatch):
    def half_a_copy(source: str, target: Path) -> None:
        target.write_bytes(CONTENT[:100])
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", half_a_copy)
    assert bring_all(root, [file], str(server.folder)) == {file.path: "failed"}
    assert capsys.readouterr().out == f"failed   {file.path}: the disk is full\n"
    assert left(root) == []


def test_a_file_that_only_a_mirror_has_is_skipped_without_one(server, root, capsys):
    file = File("survey/table one.csv", "", sha256(CONTENT))
    assert bring_all(root, [file]) == {file.path: "skipped"}
    assert "only a mirror has it" in capsys.readouterr().out
    assert bring_all(root, [file], str(server.folder)) == {file.path: "copied"}


def test_a_git_blob_id_is_the_one_git_gives(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert git_blob_id(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_a_file_known_by_its_git_blob_id_is_checked_by_it(server, root, capsys):
    file = File("survey/table one.csv", "", "", git_blob_id(server.folder / "survey" / "table one.csv"))
    assert bring_all(root, [file], str(server.folder)) == {file.path: "copied"}
    (root / file.path).write_bytes(b"altered")
    with pytest.raises(ValueError, match=r"git blob differs: found .*, expected .*: run `make data`"):
        verified(root, file)


def test_a_missing_file_is_named_with_what_to_do(file, root):
    with pytest.raises(FileNotFoundError, match=r"table one\.csv is missing: run `make data`"):
        verified(root, file)


def test_a_truncated_file_is_refused_with_both_checksums(file, root):
    (root / "survey").mkdir(parents=True)
    (root / file.path).write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=f"found {sha256(CONTENT[:-1])}, expected {sha256(CONTENT)}"):
        verified(root, file)


@pytest.fixture
def one_file_each(server: Server, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every data set has one small file in the mirror; a note is left where GDSC's tables are prepared."""
    names = []
    for room in (mnist, fashion_mnist, cifar10, gdsc, nhanes, nhanes_paper, beataml):
        name = f"{room.__name__}.csv"
        (server.folder / name).write_bytes(name.encode())
        monkeypatch.setattr(room, "FILES", (File(name, f"{server.address}/{name}", sha256(name.encode())),))
        names.append(name)
    monkeypatch.setattr(gdsc, "prepare", lambda root: (Path(root) / "prepared").touch())
    return names


def test_the_command_brings_every_data_set_prepares_tables_and_counts(server, one_file_each, root, capsys):
    command = ["--mirror", str(server.folder), "--root", str(root)]
    assert download.main(command) == 0
    assert left(root) == sorted([".lock", "prepared", *one_file_each])
    assert capsys.readouterr().out.splitlines()[-1] == "7 of 7 files are there: 7 copied"
    assert download.main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "7 of 7 files are there: 7 present"


def test_the_command_fails_when_a_file_does_and_prepares_nothing_from_missing_files(
    server, one_file_each, root, capsys
):
    (server.folder / "attrpriors.data.gdsc.csv").unlink()
    assert download.main(["--mirror", str(server.folder), "--root", str(root)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "6 of 7 files are there: 6 copied, 1 failed"
    assert not (root / "prepared").exists()


def test_a_mirror_that_does_not_exist_is_refused_before_anything_is_written(one_file_each, root, capsys):
    with pytest.raises(SystemExit):
        download.main(["--mirror", "ftp://nowhere", "--root", str(root)])
    assert "the mirror 'ftp://nowhere' is neither a folder nor an http(s) address" in capsys.readouterr().err
    assert not root.exists()


def test_a_data_folder_that_cannot_be_made_is_one_sentence(one_file_each, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")
    assert download.main(["--root", str(tmp_path / "taken")]) == 1
    assert capsys.readouterr().out == f"failed   {tmp_path / 'taken'}: File exists\n"


def test_a_second_process_waits_for_the_first(one_file_each, server, root, capsys):
    root.mkdir()
    first = FileLock(root / ".lock")
    first.acquire()
    second = threading.Thread(target=download.main, args=(["--mirror", str(server.folder), "--root", str(root)],))
    second.start()
    said, deadline = "", time.monotonic() + 30
    while "another process is filling" not in said and time.monotonic() < deadline:
        said += capsys.readouterr().out
        time.sleep(0.01)
    assert said == f"another process is filling {root}: waiting for it\n"
    assert left(root) == [".lock"]
    first.release()
    second.join(timeout=30)
    assert left(root) == sorted([".lock", "prepared", *one_file_each])
