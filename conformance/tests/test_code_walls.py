"""Where there are no walls, no code is run; where there are, what users upload does no harm."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.code import INSTALLING_SECONDS, SETTINGS
from harness.server import BINARY, Adjutant
from harness.story import Story, wait_for

TOOLS = [{"type": "code_interpreter"}]
TOOL = "code_interpreter"

# As a container may be: an ordinary user, and no user namespaces.
BARE = ("bwrap", "--unshare-user", "--uid", "1000", "--gid", "1000", "--disable-userns")
BARE += ("--die-with-parent", "--dev-bind", "/", "/", "--")

pytestmark = pytest.mark.timeout(INSTALLING_SECONDS)


def command(what: str, inside: tuple[str, ...], folder: Path, **settings: str) -> Any:
    """A command of the binary; nothing is there to answer, and nobody asks it anything."""
    words = [
        *inside,
        str(BINARY),
        what,
        "--data",
        str(folder),
        "--upstream",
        "http://127.0.0.1:1/v1",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **settings}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.once
def test_check_says_which_engine_runs_code_and_why_none_does(tmp_path: Path) -> None:
    walled, bare = command("check", (), tmp_path), command("check", BARE, tmp_path)
    assert 'Runs code with the engine "native": Python behind bubblewrap' in walled.stdout
    assert "Its packages are installed with the first start." in walled.stdout
    assert 'Runs code with the engine "wasm": Python compiled to WebAssembly' in bare.stdout
    assert "It is made with the first start" in bare.stdout
    assert "Not natively: its walls cannot be built here: " in bare.stdout
    assert "User namespaces are forbidden here." in bare.stdout
    forced = command("check", (), tmp_path, ADJUTANT_CODE_INTERPRETER_ENGINE="wasm")
    assert 'Runs code with the engine "wasm"' in forced.stdout
    assert "Not natively" not in forced.stdout
    native = command("check", BARE, tmp_path, ADJUTANT_CODE_INTERPRETER_ENGINE="native")
    assert "Runs no code: its walls cannot be built here: " in native.stdout
    off = command("check", (), tmp_path, ADJUTANT_CODE_INTERPRETER_ENGINE="off")
    assert 'Runs no code: code_interpreter.engine is "off".' in off.stdout
    assert not list(tmp_path.rglob("code-interpreter")), "it leaves nothing behind"


@pytest.mark.once
def test_a_server_that_must_run_code_does_not_start_without_walls(tmp_path: Path) -> None:
    done = command("serve", BARE, tmp_path, ADJUTANT_CODE_INTERPRETER_ENGINE="native")
    assert done.returncode == 1
    assert "Code cannot be run: its walls cannot be built here: " in done.stderr


@pytest.mark.once
def test_where_native_walls_cannot_be_built_webassembly_runs_code(
    servers: Any, db: str, connect: Callable[[Adjutant], Story]
) -> None:
    settings = {**SETTINGS, "ADJUTANT_CODE_INTERPRETER_ENGINE": "auto"}
    server = servers.new(db, settings=settings, inside=BARE)
    story = connect(server)
    story.model.calls(TOOL, {"code": "import sys; sys.platform"}).then_says("That is it.")
    run = story.ask("Where are you?", assistant=story.assistant(tools=TOOLS))
    (call,) = story.steps(run)[0].step_details.tool_calls
    assert call.code_interpreter.outputs[0].logs == "'wasi'\n"
    assert (
        "code is run by WebAssembly, and not natively: its walls cannot be built" in server.tail()
    )
    server.stop()


@pytest.mark.once
def test_where_no_engine_can_be_had_no_model_is_told_of_the_tool(
    servers: Any, db: str, connect: Callable[[Adjutant], Story], tmp_path: Path
) -> None:
    """The tool is accepted and stored; the log says why it does nothing."""
    (tmp_path / "file").write_text("where a folder is to be")
    settings = {
        "ADJUTANT_CODE_INTERPRETER_ENGINE": "auto",
        "ADJUTANT_CODE_INTERPRETER_FOLDER": str(tmp_path / "file"),
    }
    server = servers.new(db, settings=settings, inside=BARE)
    told = "no code is run, and no model is told of code_interpreter: not natively: "
    wait_for(lambda: server.tail(), lambda log: told in log, "what the log says")
    story = connect(server)
    story.model.says("I cannot run code.")
    assistant = story.assistant(tools=TOOLS)
    assert assistant.tools[0].type == TOOL
    run = story.ask("Run.", assistant=assistant)
    assert run.status == "completed"
    assert "tools" not in story.model.requests[0].body
    server.stop()


@pytest.fixture
def server(servers: Any, db: str, code_settings: dict[str, str]) -> Adjutant:
    return servers.shared(db, start_seconds=INSTALLING_SECONDS, **code_settings)


OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
SHEET = f"<worksheet xmlns='{SPREADSHEET}'><sheetData>{{}}</sheetData></worksheet>"
BOOK = (
    f"<workbook xmlns='{SPREADSHEET}' xmlns:r='{OFFICE}'><sheets>"
    "<sheet name='매출' sheetId='1' r:id='r1'/></sheets></workbook>"
)
RELATION = (
    f"<Relationships xmlns='{PACKAGE}/relationships'>"
    f"<Relationship Id='r1' Type='{OFFICE}/{{}}' Target='{{}}'/></Relationships>"
)
TYPES = (
    f"<Types xmlns='{PACKAGE}/content-types'><Default Extension='rels' "
    "ContentType='application/vnd.openxmlformats-package.relationships+xml'/>"
    f"<Override PartName='/xl/workbook.xml' ContentType='{TYPE}.sheet.main+xml'/>"
    f"<Override PartName='/xl/sheet.xml' ContentType='{TYPE}.worksheet+xml'/></Types>"
)


def workbook(*rows: tuple[str, ...]) -> bytes:
    """An Excel file with one sheet of texts."""
    cell = '<c t="inlineStr"><is><t>{}</t></is></c>'
    cells = ["".join(cell.format(text) for text in row) for row in rows]
    parts = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": RELATION.format("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": BOOK,
        "xl/_rels/workbook.xml.rels": RELATION.format("worksheet", "sheet.xml"),
        "xl/sheet.xml": SHEET.format("".join(f"<row>{row}</row>" for row in cells)),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return packed.getvalue()


def test_an_excel_file_becomes_a_plot_and_a_table_to_download(story: Story) -> None:
    book = workbook(("지점", "매출"), ("서울", "30"), ("부산", "12"), ("서울", "5"))
    upload = story.client.files.create(file=("매출.xlsx", book), purpose="assistants")
    code = """
import pandas as pd, matplotlib.pyplot as plt
sums = pd.read_excel('매출.xlsx').astype({'매출': int}).groupby('지점')['매출'].sum()
sums.to_csv('합계.csv')
sums.plot.bar(title='지점별 매출', ylabel='매출 (만원)')
plt.show()
"""
    story.model.calls(TOOL, {"code": code}).then_says("[합계](sandbox:/mnt/data/합계.csv)")
    attachment = {"file_id": upload.id, "tools": TOOLS}
    asked = {"role": "user", "content": "지점별로?", "attachments": [attachment]}
    thread = story.threads.create(messages=[asked])
    run = story.wait(story.run(thread, story.assistant(tools=TOOLS)))
    # A letter that no font has would have been a warning beside the figure.
    outputs = story.steps(run)[0].step_details.tool_calls[0].code_interpreter.outputs
    assert [output.type for output in outputs] == ["image"], outputs
    image, text = story.threads.messages.list(thread.id).data[0].content
    assert story.client.files.content(image.image_file.file_id).read().startswith(b"\x89PNG")
    (mark,) = text.text.annotations
    csv = story.client.files.content(mark.file_path.file_id).read().decode()
    assert csv == "지점,매출\n부산,12\n서울,35\n"


POISON = """
import random
from matplotlib import font_manager, ft2font
from PIL import Image, ImageDraw, ImageFont, features
whole = open(font_manager.findfont('DejaVu Sans'), 'rb').read()
dice = random.Random(7)
drawn = refused = 0
for number in range(300):
    font = bytearray(whole[: dice.randint(100, len(whole))] if number % 3 == 0 else whole)
    near = 4096 if number % 2 else len(font)
    for _ in range(dice.randint(1, 500)):
        font[dice.randrange(min(near, len(font)))] = dice.randrange(256)
    open('poison.ttf', 'wb').write(font)
    try:
        if features.check('freetype2'):
            picture = ImageDraw.Draw(Image.new('L', (99, 99)))
            picture.text((0, 0), 'Ag가', font=ImageFont.truetype('poison.ttf', 20))
        ft2font.FT2Font('poison.ttf').set_text('Ag가')
        drawn += 1
    except Exception:
        refused += 1
print('fonts', drawn + refused, drawn > 9, refused > 9)
"""


@pytest.mark.once
def test_poisoned_fonts_reach_nothing(story: Story) -> None:
    """300 of them, drawn with the libraries that read fonts. At worst, their session is over."""
    story.model.calls(TOOL, {"code": POISON}).then_calls(TOOL, {"code": "1 + 1"}).then_says("Done.")
    run = story.ask("Draw.", assistant=story.assistant(tools=TOOLS))
    calls = [step.step_details.tool_calls[0] for step in story.steps(run)[:2]]
    first, second = ("".join(o.logs for o in call.code_interpreter.outputs) for call in calls)
    assert (
        first.endswith("fonts 300 True True\n") or "[The session is lost: Python crashed" in first
    )
    assert second == "2\n"
