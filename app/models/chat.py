"""A prompt as one turn of a chat, for models that were tuned on their own chat template.

The user's turn holds the prompt without its answer cue; the cue begins the assistant's turn. So both sides of a pair
score the same answer tokens after the same cue. Whatever else the template writes (turn marks, a system text, BOS) is
the model's own; its clock stands still and its thinking is switched off, or prompts would change from day to day and
answers would follow thoughts that nobody wrote.
"""

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from app.errors import CellError

_CLOCK = "{%- macro strftime_now(format) -%}01 Jan 2025{%- endmacro +%}"
"""Put before a template, it is what the template takes for today's date; the plus keeps a newline that follows."""


def wrap(tokenizer: PreTrainedTokenizerBase, prompt: str, cue: str) -> str:
    """`prompt`, which ends in `cue`, as text in the tokenizer's own chat template; it ends in `cue` again.

    A template that writes BOS leaves it in the text, and `tokens.encode` adds no second one. Raises CellError where
    the prompt has another end, or where the tokenizer has no template or one that does not keep the prompt's words.
    """
    if not cue or not prompt.endswith(cue):
        raise CellError(f"a chat prompt must end in the answer cue {cue!r}, but it ends in {prompt[-20:]!r}")
    # Templates strip a turn's last blanks; whether they do must make no difference.
    said = prompt.removesuffix(cue).rstrip()
    name = tokenizer.name_or_path or "the tokenizer"
    if not tokenizer.chat_template:
        raise CellError(f"{name} has no chat template: choose another prompt format")
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": said}],
            chat_template=_CLOCK + tokenizer.get_chat_template(),
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
    # ValueError: several templates of which none is the default.
    except (TemplateError, TypeError, ValueError) as fault:
        raise CellError(
            f"the chat template of {name} cannot take one user turn ({fault}): choose another prompt format"
        ) from fault
    if not isinstance(text, str) or said not in text:
        raise CellError(
            f"the chat template of {name} alters the prompt's text, so the two sides of a pair would read different "
            f"items: choose another prompt format"
        )
    return text + cue
