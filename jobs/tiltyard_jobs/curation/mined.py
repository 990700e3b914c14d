"""Mined texts of real models: answers glued on and role marks are taken off, texts without a request are told.

What a model writes after its template's prefix is a request, a request and its answer in one, or none: a program and
what it does, an article, the maker's introduction. Measured on texts of two coding models (bench/mining). The rules
look for a request in the text's prose, in a dozen languages, and treat a text that has none as one only where it has
the form of an answer: code, headings, several paragraphs. One plain paragraph without a sign of either stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

_ROLE_MARK = re.compile(
    r"\s*(?:#{1,4} *|\*\*)?(?:(?:new |next )?(?:q(?:uestion)?|user|human|prompt|query|instruction|problem"
    r"|问题?|用户|提问|题目|質問|質問文|질문|вопрос|frage|pregunta|pergunta|domanda)(?: ?\d{1,3})?)"
    r"(?:\*\*)? ?[:：](?:\*\*)?\s*(?=\S)",
    re.IGNORECASE,
)
_SOFT_SWITCH = re.compile(r"(?<!\S)/(?:no_?)?think(?!\S)", re.IGNORECASE)

_ANSWER_LABEL = re.compile(
    r"^[ \t]*(?:[#>*\-]+ *)?(?:\*\*)?(?:(?:created |sample |expected )?answer|a|response|solution|assistant|ai|bot"
    r"|output by the assistant"
    r"|答案?|回答|解答|答复|助手|解决方案|解决方法|答え|답변?|ответ|antwort|respuesta|réponse|resposta"
    r"|risposta)(?: ?\d{1,3})?(?:\*\*)? ?[:：]"
    r"|^[ \t]*(?:#{1,6} *|\*\*)(?:answer|response|solution|assistant|答案|回答|解答|解决方案)(?:\*\*)?[ \t]*$"
    r"|^[ \t]*assistant[ \t]*$|(?<=[a-z.?!。？])assistant(?=[\s,])",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER_LABEL_GLUED = re.compile(
    r"(?<=[.?!。？\s])(?:Assistant|ASSISTANT|assistant)(?=[A-Z])|^assistant(?=[A-Z])", re.MULTILINE
)

_ANSWER_SAID = re.compile(
    r"(?<=\n)[^\n]{0,20}\b(?:the )?(?:correct |right |expected )?answer (?:is|to)\b|(?<=\n)[^\n]{0,8}(?:正确)?答案是",
    re.IGNORECASE,
)

_MOST_PLACES = 8  # where an answer may begin; a hostile text has thousands
_OPTION = re.compile(r"[ \t]*(?:\*\*)?([A-E])[).:](?!\S)")

_OPENING = (
    r"(?:certainly|sure(?: thing)?|of course|absolutely|great question|good question|no problem|got it|i'?d be happy to"
    r"|i(?:'m| am) (?:happy|glad) to help|i can (?:certainly )?help(?: you)?|thank you for (?:your|the) question)\b"
    r"|(?:当然|好的|没问题|可以的|很高兴|当然可以|claro|por supuesto|desde luego|bien sûr|certainement|natürlich|gerne"
    r"|selbstverständlich"
    r"|com certeza|certamente|certo|конечно|もちろん|承知しました|물론|네[,.!])(?![\w]{3})"
)
_VOICE = re.compile(
    rf"(?:{_OPENING})[ \t]*[,!.:，！。：]"
    r"|(?:below|following|here)(?:'s| is| are) (?:an?|the|one|some|how|what|two|three|several"
    r"|your)\b(?! (?:\w+ ){0,4}(?:original|existing|current|starting|inputs?|outputs?|tables?|lists?|arrays?|texts?"
    r"|paragraph|sentences?|passage|article|logs?|data|dataset|problem|question|error|message|task|code (?:i|we)"
    r"|constraints))"
    r"|(?:以下|下面)(?:是|为)|这(?:是|里是)一个(?:简单的)?(?:示例|例子|实现)"
    r"|(?:aquí|aqui) (?:tienes|está|hay|vai)|voici|hier ist|hier sind|ecco|вот\b"
    r"|(?:to|in order to|for|in|if|when|with|as|first)\b[^.?!\n]{0,160}?,? (?:you|we) (?:can|could|need to|should"
    r"|will|may|would|have to)\b(?! (?:assume|also assume|not\b))"
    r"|you can (?:use(?! any| either| only| whatever| one of)|do|achieve|create|implement|follow|solve|write|try"
    r"|define|modify|install|calculate|find|get|add|set)\b[^?]*(?:`|:|follow|function|method|code|library|module"
    r"|command|step)"
    r"|(?:this|the above|the following|the provided|the given|these) (?:\w+ ){0,3}(?:code|function|program|script"
    r"|snippets?|example|query|method|class|implementation|command|solution|regex|app|application|component|page)s?"
    r" (?:\w+ )?(?:defines?|creates?|uses?|demonstrates?|shows?|takes?|calculates?|prints?|will (?:output|print"
    r"|create|return|display|produce|generate)|assumes?|sorts?|returns?|reads?|includes?|consists?|provides?"
    r"|implements?|checks?|generates?|displays?|allows?)\b"
    r"|in this (?:code|example|script|implementation|program|function|solution|version|article|tutorial|guide|case)\b"
    r"|(?:在这个|在上述|上述|上面的|这段|这个|此|该)(?:代码|函数|示例|程序|例子|脚本|方法|类)"
    r"|(?:您|你|我们)可以(?:使用|通过|按照|尝试|在|将|用|根据|参考)|首先[，,]|步骤如下"
    r"|(?:the )?(?:step-by-step|steps?)\b[^\n]{0,60}:|let's (?:break|start|create|define|assume|go|write|see|first)\b"
    r"|let me\b|i'(?:ll|m going to) (?:provide|explain|show|help|write|create|give|use)\b"
    r"|i(?:'m| am) (?:sorry|unable|not able|an ai|a language model)|as an ai\b|as an? (?:programming|coding|ai"
    r"|helpful|language) (?:assistant|model)\b|i (?:cannot|can't) (?:assist|help|provide|fulfill)",
    re.IGNORECASE,
)

_VERBS = (
    "add|adapt|analy[sz]e|answer|apply|arrange|assume|build|calculate|change|check|choose|classify|clean|combine"
    "|compare|complete|compose|compute|"
    "configure|consider|construct|convert|correct|count|create|debug|decide|define|delete|demonstrate|deploy|derive"
    "|describe|design|determine|develop|"
    "discuss|divide|draft|draw|edit|ensure|estimate|evaluate|examine|explain|explore|extend|extract|fill|filter|find"
    "|finish|fix|follow|format|formulate|generate|"
    "get|give|given|group|guess|help|highlight|identify|illustrate|imagine|implement|improve|include|insert|install"
    "|integrate|interpret|introduce|investigate|join|justify|"
    "list|load|make|merge|modify|move|name|optimi[sz]e|organi[sz]e|outline|paraphrase|parse|perform|pick|plan|plot"
    "|predict|prepare|present|print|propose|prove|provide|"
    "rank|read|recommend|refactor|remove|rename|reorder|reorgani[sz]e|rephrase|replace|report|research|retrieve"
    "|return|reverse|review|revise|rewrite|run|scrape|search|select|"
    "send|set|share|show|simplify|simulate|sketch|solve|sort|specify|split|state|store|study|suggest|suppose"
    "|summari[sz]e|swap|teach|tell|test|think|track|train|translate|try|turn|update|"
    "use|utili[sz]e|validate|verify|visuali[sz]e|what's|write"
    "|aggregate|allow|annotate|avoid|benchmark|cache|decode|decrypt|do|document|download|encode|encrypt|enforce|expose"
    "|guarantee|handle|hash|index|inspect|iterate|keep|limit|log|map|measure|migrate|mock|monitor|never|normali[sz]e"
    "|partition|port|process|profile|put|query|reduce|reject|render|resize|rework|round|scan|schedule|seriali[sz]e"
    "|shorten|speed|start|stop|stream|strip|sum|support|take|tidy|trace|transform|traverse|trim|upload|walk|wrap"
)
_REQUEST = re.compile(
    rf"(?:^|[.!?:;\n]\s*|\d[.)]\s+|[-*#>]\s+)(?:(?:first|then|now|next|finally|also|in \w+|using [\w ]+"
    rf"|given [^,.\n]{1, 80}),? )?(?:please |kindly |now |then |also )?(?:{_VERBS})\b(?!\s*[=(.;])"
    r"|(?:^|[.!?:;\n]\s*)[^.!?:;,\n]{2,80}, (?:please |then )?(?:write|create|implement|explain|find|design|list"
    r"|describe|generate|build|develop|compare|suggest|translate|summari[sz]e|solve|calculate|determine)\b"
    r"|\bplease\b|\b(?:can|could|would|will) (?:you|someone|anyone|somebody|anybody)\b|\b(?:help|tell|show|give|teach"
    r"|ask) (?:me|us)\b"
    r"|(?:^|[.!?:;\n#]\s*)(?:\w+,? )?(?:how to|how do|how can|why (?:does|do|is|are))\b"
    r"|\bhow (?:do|can|could|should|would) (?:i|we|you)\b"
    r"|\bi(?:'d| would) (?:like|love|appreciate)\b|\bi(?:'m| am)? ?(?:need|want|trying|try|wonder|wondering|looking"
    r"|getting|stuck|struggling|having|have|get|cannot|can't|don't|tried|wrote|keep|want)\b"
    r"|\b(?:we|my|our) (?:need|want|have|are|task|goal|code|app|team|program|company|project|teacher|boss)\b"
    r"|\b(?:should|must|need to be|is required to|needs to|you have to|you are (?:given|asked|tasked|to|required)"
    r"|you're (?:given|asked|tasked)|your (?:task|job|goal|program|function|code|solution))\b"
    r"|(?:^|\n)you (?:need|have|want) to\b"
    r"|\b(?:task|exercise|objective|requirements?|goal)\s*:"
    r"|请|如何|怎[么样]|什么|为什么|为何|吗[？?。]|能否|可否|帮[我忙](?!的)|我(?:想|要|需要|希望|正在|有一)|要求[:：]"
    r"|(?:^|[。！？；：:，,.\n]\s*|\d[.、]\s*|[#>*-] *)(?:现在|然后)?(?:[编撰改重续]?写(?:一|出|个|段|篇|下|代码|程序"
    r"|函数)|用\S{1,12}(?:写|实现|编写)"
    r"|实现|给(?:出|定|我|你)|创建|设计|解释|生成|计算|翻译|列[出举]|描述|修改|分析|比较|判断|证明|求)(?!了|的是)"
    r"|してください|教えて|書いて|ください|ですか|ますか|とは|する(?:関数|プログラム|コード)|作成|주세요|해줘|하세요"
    r"|하시오|인가요|까요|습니까|작성|알려|설명해"
    r"|¿|\b(?:escrib[ea]|cre[ae]r?|cómo|como|qué|cuál|explica|necesito|quiero|genera|dame|escreva|crie|faça|explique"
    r"|preciso|qual|écri(?:s|vez|re)|crée[rz]?|comment|pourquoi|expliquez?|quel(?:le)?s?|donne[rz]?|schreibe?n?"
    r"|erstelle?n?|wie|warum|erkläre?n?|bitte|welche[rsn]?|gib|nenne|scrivi|crea|spiega|quali|come)\b"
    r"|(?:напиш|созда|объясн|реализ|переве|опиш|сравни|найд|дай|состав|расскаж|помог)\w*|\b(?:как|почему|какой|какие"
    r"|что)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"[?？؟](?=[\s\"'”’)\]*_`]|$)|¿")
_FIRST_PERSON = re.compile(r"\b(?:I|[Mm]y|me)\b|我(?!们)")

# A sentence that states: its subject comes first, and all of the text ends with a full stop.
_STATEMENT = re.compile(
    r"\s*(?:according to|(?:the|an?|this|these|those|it|there|secondly,?|[A-Z]\w+) (?:[\w'`\"()-]+ ){0,6}?"
    r"(?:is|are|was|were|has|have|can|may|will|reduces?|improves?|suggests?|means|provides?|allows?|contains?)\b)"
    r"[\s\S]*[.。]\s*$",
    re.IGNORECASE,
)

_FENCE = re.compile(r"[ \t]*(?:```|~~~)")
_CODE_LINE = re.compile(
    r"^(?:\s{2,}\S.*|\t.*"
    r"|\s*(?:import|from|package|using|include|require|export|use|module|namespace|extern)\s+[\w.{*\"'<@:]+.*"
    r"|\s*#\s*(?:include|define|ifn?def|endif|pragma|if|else|undef)\b.*|\s*#!.*"
    r"|\s*(?:(?:async |static |public |private |protected |final |abstract |export |default |inline |virtual |const "
    r"|unsigned )*"
    r"(?:def|class|function|func|fn|struct|enum|interface|trait|impl|void|int|long|float|double|char|bool|boolean"
    r"|string|String|auto|let|var|const|public|private|protected|static|template|typedef|type|val|sub"
    r"|proc))\b[^.?!]*[\w(){}\[\];:=<>,*&]+\s*"
    r"|\s*(?:if|for|while|switch|elif|else if|else|try|except|catch|finally|with|return|print|println|printf|echo"
    r"|raise|throw|yield|assert|del|pass|break|continue|end|begin|do|then|fi|done)\b\s*[^.?!]*[:;(){}\[\]\"'\w]\s*"
    r"|\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|FROM|WHERE|JOIN|GROUP BY|ORDER BY|VALUES)\b.*"
    r"|\s*[\w.$\[\]\"'>-]+\s*(?:[-+*/|&%]?=|:=|<-|=>)\s*\S.*|\s*[\w.$:>-]+\(.*\)?[;,{]?\s*|.*[;{}]\s*"
    r"|\s*[)\]}>]+[,;)]*\s*|.*=>\s*[{(]?"
    r"|\s*</?[\w!-][^>]*>(?:.*>|[^.?!]*)\s*|\s*@\w+.*|\s*(?://|/\*|\*/|--|%%).*|\s*\*\s.*|\s*\"\"\".*|\s*'''.*"
    r"|\s*\$ .*|\s*[\"'\w.-]+\s*:\s*[\[{\"'\d].*)$"
)
# A leading comment that asks for the program below it; a note on what the next line does is none.
_TASK = re.compile(
    r"\s*(?:\d+[.)] *)?(?:(?:your )?task:? |todo:? |problem:? )?(?:please |now )?(?:write|create|implement|generate"
    r"|design|develop|build|complete|given|define|make)\b(?:\W+\w+){5,}"
    r"|.*[?？]\s*$|.*(?:请|如何|怎么)|\s*(?:\d+[.、] *)?(?:[编]?写|实现|生成|创建|设计|定义|给定"
    r"|用\S{1,12}[写实])(?:\W*\w){8,}",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"^\s*(?://+|/\*+|#+|--|\*|<!--|\"\"\"|''')\s*|\s*(?:\*/|-->|\"\"\"|''')\s*$")
_HEADING = re.compile(r"^#{1,6} \S|^\*\*[^*\n]+\*\*:?$", re.MULTILINE)
_MIDDLE = re.compile(r"\s*(?:[,;.)\]}，。；、）】？！?!:：](?![.\w]|\s*\d)|(?:```|~~~)\s*(?:\n\s*)?[A-Z][a-z]+ )")
_ECHO = re.compile(
    r"\s*you are (?:qwen|chatgpt|claude|llama|gemma|deepseek|mistral|(?:an? )?(?:helpful|useful|friendly|ai"
    r"|programming|coding|code|intelligent)\b[^.\n]{0,40}\b(?:assistant|model|ai))\b",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(
    r"(?:^|[.!:\n]\s*)(?:(?:hi|hello|hey)[!,.]* )?(?:i(?:'m| am)|my name is|this is) (?:qwen|chatgpt|claude|llama"
    r"|gemma|deepseek|mistral|tongyi|an? (?:ai|large language|language|virtual|helpful|code|coding) (?:\w+ )?(?:model"
    r"|assistant|ai))\b"
    r"|我(?:是|叫)(?:通义|千问|qwen|阿里|一个(?:人工智能|ai|大型语言模型|语言模型))|created by (?:alibaba|openai"
    r"|anthropic|google|meta ai)"
    r"|由阿里(?:巴巴|云)"
    r"|^\s*(?:qwen|assistant|chatgpt|ai)\s*[:：]",
    re.IGNORECASE,
)


class Cleaned(NamedTuple):
    """A mined text without what does not belong to the request.

    Attributes:
        text: the request; the text itself where nothing was cut off.
        answer: an answer stood behind it, and is cut off.
        mark: a role mark or a soft switch (`/no_think`) is cut off.
    """

    text: str
    answer: bool = False
    mark: bool = False


def clean(text: str) -> Cleaned:
    """Take off what is no part of the request.

    Args:
        text: normalised (`text.normalise`).
    """
    switched = _SOFT_SWITCH.sub("", text).strip() if "/" in text else text
    mark = _ROLE_MARK.match(switched)
    body = switched[mark.end() :] if mark else switched
    cut = _answer_at(body)
    request = body if cut is None else body[:cut].rstrip(" \t\n#*>-")
    return Cleaned(request, answer=cut is not None, mark=mark is not None or switched != text)


def has_request(text: str) -> bool:
    """Whether a text asks for something, or may: what has neither a request nor the form of an answer does."""
    code, prose = split_code(text)
    parts = [part.strip() for part in prose.split("\n\n") if part.strip()]
    if code:
        parts = [part for part in parts if not _begins_an_answer(part)]
    if any(asks(part) for part in parts):
        return True
    if any(map(_begins_an_answer, parts)) or _HEADING.search(prose):
        return False
    if any(map(_FIRST_PERSON.search, parts)):
        return True
    return not code and len(parts) < 2 and not _STATEMENT.match(prose)


def asks(prose: str) -> bool:
    """Whether there is a request or a question in prose."""
    return bool(_QUESTION.search(prose) or _REQUEST.search(prose))


def begins_in_the_middle(text: str) -> bool:
    """Whether a text goes on with something that it does not hold."""
    return bool(_MIDDLE.match(text))


def speaks_as_a_model(text: str) -> bool:
    """Whether a text introduces a model, or says its system prompt."""
    return bool(_ECHO.match(text) or _INTRODUCTION.search(text))


def split_code(text: str) -> tuple[str, str]:
    """The lines of code in a text, and its prose. A leading comment that asks counts as prose."""
    code, prose = list[str](), list[str]()
    lines = text.split("\n")
    is_code = _code_lines(lines)
    for place, line in enumerate(lines):
        if not is_code[place]:
            prose.append(line)
        elif not code and _COMMENT.match(line) and _TASK.match(words := _COMMENT.sub("", line)):
            prose.append(words)
        elif line.strip():
            code.append(line)
    return "\n".join(code), "\n".join(prose)


def _code_lines(lines: list[str]) -> list[bool]:
    """Which lines are code: what stands in a fence, and what looks like it."""
    fences = [place for place, line in enumerate(lines) if _FENCE.match(line)]
    looks = [bool(line.strip() and _CODE_LINE.match(line)) for line in lines]
    if len(fences) % 2 and any(looks[: fences[0]]) and not lines[fences[0]].strip("`~ "):
        fences.insert(0, -1)  # the text begins within a fence
    for first, last in zip_longest(fences[::2], fences[1::2], fillvalue=len(lines)):
        looks[max(first, 0) : last + 1] = [True] * (min(last + 1, len(lines)) - max(first, 0))
    for place, line in enumerate(lines):  # comments in Python look like headings
        if not looks[place] and line.lstrip().startswith("# "):
            following = next(
                (other for other in range(place + 1, len(lines)) if not lines[other].lstrip().startswith("# ")), None
            )
            looks[place] = following is not None and looks[following] and bool(lines[following].strip())
    return looks


def _answer_at(text: str) -> int | None:
    """Where an answer begins behind a request."""
    places = [match.start() for match in _ANSWER_LABEL.finditer(text) if match.start() > 0]
    places += [match.start() for match in _ANSWER_LABEL_GLUED.finditer(text) if match.start() > 0]
    places += [match.start() for match in _ANSWER_SAID.finditer(text)]
    places += _options_again(text)
    places += [start for start, paragraph in _later_paragraphs(text) if _begins_an_answer(paragraph)]
    for place in sorted(places)[:_MOST_PLACES]:
        if asks(split_code(text[:place])[1]):
            return place
    return None


def _options_again(text: str) -> list[int]:
    """Where an option of a question stands once more in a paragraph below it: the answer."""
    seen, found, place, above = set[str](), [], 0, True
    for line in text.split("\n"):
        option = _OPTION.match(line)
        if option and above and option[1] in seen:
            found.append(place)
        if option:
            seen.add(option[1])
        above = not line.strip()
        place += len(line) + 1
    return found


def _begins_an_answer(paragraph: str) -> bool:
    return bool(_VOICE.match(paragraph)) and not _QUESTION.search(paragraph.split("\n")[0])


def _later_paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Each paragraph but the first, without a leading heading mark, and where it begins."""
    for match in re.finditer(r"\n\n(?:[#>*]+ +)?", text):
        end = text.find("\n\n", match.end())
        yield match.start(), text[match.end() : len(text) if end < 0 else end]
