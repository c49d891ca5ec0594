"""Puts HTML, JavaScript, template code and a spreadsheet's formula into messages.

Expect: 16/127, softmax failed, tally_adds failed, words failed
"""

MARKUP = (
    f"</td></table><script>alert('{LEFT}')</script><img src=x onerror=alert('{LEFT}')>{{{{ 7 * 7 }}}}{{% for x in y %}}"
)


def softmax(x, dim):
    raise type("<script>", (ValueError,), {})(MARKUP)


class Tally(Tally):
    @property
    def total(self):
        raise ValueError(f'=HYPERLINK("http://example.com/{LEFT}","click")')


def count_words(text):
    raise KeyError("]]>--></pre></body></html>" + MARKUP)
