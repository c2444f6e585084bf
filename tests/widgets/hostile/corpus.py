"""What a program, a name or a page may say to break a screen: by name, so that a failure tells which."""

from __future__ import annotations

from typing import Final

_MARKS = "".join(map(chr, range(0x300, 0x370)))

TEXTS: Final[dict[str, str]] = {
    # sequences
    "title": "\x1b]0;owned\x07after",
    "clipboard": "\x1b]52;c;ZXZpbA==\x1b\\after",
    "link": "\x1b]8;;http://example.org/x\x1b\\click\x1b]8;;\x1b\\ after",
    "link with controls": "\x1b]8;;javascript:\x00\x1b[31m\x07click\x1b]8;;\x07 after",
    "device query": "\x1b[c\x1b[>c\x1b[6n\x1b[5n\x1b]11;?\x07\x1bZafter",
    "modes": "\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?2004h\x1b[?7l\x1b[4hafter",
    "reset": "\x1bcafter",
    "charsets": "\x1b(0lqqk\x1b(B\x0eafter\x0f",
    "margins": "\x1b[5;10r\x1b[999;999Hafter\x1b[r",
    "status string": '\x1bP$q"p\x1b\\\x1bP+q544e\x1b\\after',
    "sixel": "\x1bPq#0;2;0;0;0#0~~@@vv@@~~@@~~$\x1b\\after",
    "kitty picture": "\x1b_Ga=T,f=100,s=1,v=1;AAAA\x1b\\after",
    "iterm file": "\x1b]1337;File=name=eA==;inline=1:AAAA\x07after",
    "notification": "\x1b]9;hello\x07\x1b]777;notify;a;b\x07after",
    "tmux passthrough": "\x1bPtmux;\x1b\x1b]52;c;ZXZpbA==\x07\x1b\\after",
    "broken colours": "\x1b[38;2;1;2mx\x1b[38;5mx\x1b[999mx\x1b[;;;mx\x1b[38:2:1mx\x1b[48;5;999mx",
    "huge numbers": "\x1b[99999999999999999999A\x1b[9999999999C\x1b[99999Gx\x1b[999999999bx\x1b[99999999@x\x1b[999999X",
    "cut off csi": "after\x1b[",
    "cut off csi numbers": "after\x1b[38;2;1",
    "cut off osc": "after\x1b]0;title",
    "cut off dcs": "after\x1bP1;2",
    "lone escape": "after\x1b",
    "escape in escape": "\x1b[\x1b[\x1b[31\x1b[mafter",
    "long csi": "\x1b[" + "1;" * 5_000 + "mafter",
    "unfinished osc of 2 MB": "\x1b]52;c;" + "A" * 2_000_000,
    "unfinished dcs of 2 MB": "\x1bP" + "q" * 2_000_000,
    "finished osc of 2 MB": "\x1b]0;" + "A" * 2_000_000 + "\x07after",
    "escapes only": "\x1b" * 100_000,
    "csi only": "\x1b[" * 100_000,
    "osc only": "\x1b]" * 100_000,
    # controls
    "c0": "".join(map(chr, range(0x20))) + "\x7fafter",
    "c1": "".join(map(chr, range(0x80, 0xA0))) + "after",
    "c1 csi": "\x9b31mred\x9b0m\x9b2J\x9b6nafter",
    "c1 osc": "\x9d0;title\x9cafter",
    "nul": "a\x00b\x00" * 100,
    "backspaces": "abc" + "\b" * 1_000 + "after",
    "returns": "abc\r" * 1_000 + "after\r\n\r\r\n",
    "form feeds": "a\x0bb\x0cc\x85d\u2028e\u2029f",
    "climbing": "a\nb\n\x1b[100Aover\x1b[100Bbelow\x1b[50A\x1b[J",
    "erasing": "a\nb\n\x1b[2J\x1b[3J\x1b[H\x1b[1Jx\x1b[1K\x1b[2K",
    "saving": "\x1b[sabc\x1b[u\x1b7\n\n\n\x1b8x\x1b[u",
    # markup look-alikes
    "markup": "a[/b][red]x[/][bold]y[/bold] [@click=app.bell]z[/] \\[x] [$primary] [link=http://x]l[/link]",
    "unclosed markup": "[" * 500 + "]" * 400 + "[/",
    "rich style": "[bold red]:smile: [/not bold][/]",
    # characters
    "wide": "漢字" * 60,
    "wide at the edge": "x" * 79 + "漢" + "x" * 79 + "字",
    "full width": "ＡＢＣ" * 40,
    "combining": "e\u0301" * 100,
    "leading marks": "\u0301\u0302x",
    "zalgo": ("z" + _MARKS * 3) * 20,
    "rtl": "‮evil‬ ‏שלום עולם‎ مرحبا",
    "isolates": "⁦a⁩⁧b⁩⁨c⁩",
    "zero width": "a\u200bb\u200cc\u200dd\ufeffe\u2060f" * 20,
    "emoji": "👩‍👩‍👧 👍🏽 ❤️ 🇩🇪 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿" * 10,
    "variation selectors": "❤️" * 60 + "☃︎" * 60,
    "tags": "x" + "".join(map(chr, range(0xE0020, 0xE007F))) + "after",
    "surrogates": "a\ud800b\udfffc\ud83d",
    "noncharacters": "\ufffe\uffff\U0010ffff\ufff9a\ufffab\ufffb",
    "private use": "\ue000\U0010eeee\u0305\u030d\U0010fffd",
    "fillers": "\u115f\u1160\u3164\uffa0\u00ad\u034fafter",
    "jamo": "\u1112\u1161\u11ab" * 50,
    "tabs": "\t" * 50 + "a\tb漢\tc",
    # sizes
    "line of 1 MB": "x" * 1_000_000,
    "coloured line of 1 MB": "\x1b[31m" + "x" * 1_000_000,
    "wide line of 1 MB": "漢" * 300_000,
    "line of returns": "\rx" * 100_000,
    "lines": "\n" * 100_000,
    "colour changes": "".join(f"\x1b[38;2;{n % 256};{n // 256 % 256};7mx" for n in range(8_000)),
}
"""Everything, as text."""

NAMES: Final[dict[str, str]] = {name: text[:400] for name, text in TEXTS.items() if not text[:400].isalnum()}
"""What a name or a message may be: the same, shorter."""
