"""What marks and answers around a request look like, in a dozen languages: the patterns of `mined`."""

from __future__ import annotations

import re

from tiltyard_jobs.curation.request_patterns import MODELS, OPENING

_NUMBER = r"(?: ?#?\d{1,3})?"
_ASKED = r"question|instruction|prompt|user|human|问题|提问|題目|题目|質問|질문|вопрос|frage|pregunta|pergunta|domanda"
ROLE_MARK = re.compile(
    r"\s*(?:#{1,4} *|\*\*)?\(?(?:(?:new |next |created )?(?:q(?:uestion)?|user|human|student|client|customer|prompt"
    r"|query|instruction|problem|问题?|用户|提问|题目|問題?|学生|質問|質問文|ユーザー|질문|사용자|вопрос"
    r"|пользователь|frage|(?:be)?nutzer"
    rf"|pregunta|usuario|pergunta|usuário|utilisateur|domanda|utente){_NUMBER})"
    r"(?:\*\*)? ?(?:[)）]?[:：]|[)）])(?:\*\*)?\s*(?=\S)|\s*(?:user|human)[ \t]*\n+(?=\S)|\s*Q\d{0,2}\. +(?=[A-Z])"
    rf"|\s*(?:#{{1,6}} *|\*\*)(?:{_ASKED}){_NUMBER}(?:\*\*)?[ \t]*\n+(?=\S)",
    re.IGNORECASE,
)
MODEL_MARK = re.compile(rf"\s*(?:\*\*)?{MODELS}(?:\*\*)? ?[:：](?:\*\*)?\s*(?=\S)", re.IGNORECASE)
"""A speaker who is a model; it asks where what it says is a question."""
LETTER_MARK = re.compile(
    r"\s*(?:[PQ](?= ?: *[^\s\d][^\n]*\?\s*\n[\s\S]*^[ \t]*R ?:)|F(?= ?: *[^\s\d][^\n]*\?\s*\n[\s\S]*^[ \t]*A ?:)"
    r"|В(?= ?:[\s\S]*\n[ \t]*О ?:)) ?:\s*(?=[^\n]*\?)",
    re.MULTILINE,
)
"""A question's letter, where the answer's stands below it: P and R in Spanish, F and A in German."""
SOFT_SWITCH = re.compile(r"(?:(?<!\S)|(?<=[\w)`\"'][.?!])|(?<=[。？！]))/(?:no_?)?think(?!\S)", re.IGNORECASE)
ANSWER_LABEL = re.compile(
    r"^[ \t]*(?:[#>*\-]+ *)?(?:\*\*)?(?:(?:created |sample |expected |correct |model |short |final "
    r"|best )?answer|a|response|(?:possible "
    r"|sample |example |correct |python |java |javascript |c\+\+ )?solution|assistant|ai|bot"
    r"|output by the assistant"
    r"|答案?|回答|解答|答复|助手|解决方案|解决方法|答え|답변?|ответ|antwort|respuesta|réponse|resposta"
    rf"|risposta){_NUMBER}(?:\*\*)? ?[:：]"
    r"|^[ \t]*(?:#{1,6} *|\*\*)(?:answer|response|(?:possible |sample |my |your )?solution|explanation|assistant"
    r"|答案|回答|解答|解决方案|解释|答え|답변?|ответ|antwort|lösung|respuesta|réponse|resposta|risposta)"
    rf"{_NUMBER}(?:\*\*)?[ \t]*[:：]?(?:\*\*)?[ \t]*$"
    r"|^[ \t]*(?:answer|antwort|respuesta|réponse|resposta|risposta|ответ) ?#?\d{1,3}[)）]"
    r"|(?<=\n\n)(?:\*\*)?(?:explanation|approach|step(?:-by-step)? ?1?|解释|说明|思路|解析|解题思路)(?:\*\*)? ?[:：]"
    r"|(?<!user\n)(?<!system\n)^[ \t]*assistant[ \t]*(?:-[^\n]*)?$|(?<=[a-z.?!。？])assistant(?=[\s,])",
    re.IGNORECASE | re.MULTILINE,
)
ANSWER_LABEL_GLUED = re.compile(
    r"(?<=[.?!。？\s])(?:Assistant|ASSISTANT|assistant)(?=[A-Z])|^assistant(?=[A-Z])"
    r"|(?<=[.?!。？！])(?:Assistant|Answer|Response|Solution|助手|回答|答案?|Ответ|Antwort|Respuesta|Réponse) ?[:：]"
    rf"|(?<=[?？] )(?:(?:Answer|Ответ|Antwort|Respuesta|Réponse|Resposta|Risposta){_NUMBER} ?: (?![_<\[.])|A: )",
    re.MULTILINE,
)
ANSWER_LETTER = re.compile(r"(?<=[?？]\n)A[.)] ")
ROLE_LINE = re.compile(
    r"(?<=[.?!。？！])[ \t]*\n\s*(?:user|system|model|human|assistant)[ \t]*"
    r"(?:\Z|\n\s*(?=\S+[ \t]+\S|\S*[.?!。？！]|[^\x00-\x7f]{2}))"
    r"|(?<=[.?!。？！])[ \t]?assistant(?=$|assistant|user|(?-i:[A-Z][a-z]))"
    r"|(?<=[?!。？！])(?:user|system|model)(?=$|assistant|user|(?-i:[A-Z][a-z]))",
    re.IGNORECASE | re.MULTILINE,
)
"""A template's role below the end of a sentence, with its special tokens decoded away: another turn begins."""
# Behind a text that a mark of its own begins, with the same sign: `Q) … A) …`.
ANSWER_TO_MARK = re.compile(
    r"(?:^|(?<=[.?!。？！)]\s))[ \t]*\(?(?:A(?:nswer|ns)?|R|О|Antwort|Respuesta|Resposta|Risposta|Réponse|Ответ|答案?"
    r"|回答|答え|답변?|Completion|Reply|Bot|Chatbot|Teacher|Tutor|Agent|Expert|Support|Model|Asistente|Assistente"
    r"|Assistent"
    rf"|Ассистент|Помощник|助理|アシスタント|어시스턴트){_NUMBER} ?([:.)：）])\s*(?=\S)",
    re.MULTILINE,
)
# What is called A, or is wanted for the input above it, belongs to the task.
VALUE = re.compile(r"\s*[{\[(\d]")
ASKED_BY_Q = re.compile(r"\W*[q问問]", re.IGNORECASE)
"""A mark to which the label `A` with the same sign is the answer's."""
_GIVES = (
    r"(?:sample |example )?inputs?|examples?|given|eingabe|beispiel|entrada|ejemplo|exemplo|entrée|exemple"
    r"|esempio|вход|пример|输入|示例|入力|例|입력|예시?"
)
_WANTS = r"(?:sample |example |expected )?outputs?|ausgabe|salida|saída|sortie|выход|输出|出力|출력"
INPUT_LINE = re.compile(
    rf"\s*(?:[-*>] *)?(?:\*\*)?(?:(?:{_GIVES}){_NUMBER}(?:\*\*)? ?[:：=]|(?-i:[A-Z]) ?[:：=]\s*[{{\[(])", re.IGNORECASE
)
EXAMPLE_LINE = re.compile(
    rf"\s*(?:[-*>] *)?(?:\*\*)?(?:{_GIVES}|{_WANTS}|(?-i:[A-Z])){_NUMBER}(?:\*\*)? ?[:：]", re.IGNORECASE
)
SECOND_OPTION = re.compile(r"^[ \t]{0,8}(?:\*\*)?\(?B ?[:.)]|(?<=[\s,;/])\(?B ?(?:[:)]|\.(?= \S))", re.MULTILINE)
"""The label `A:` before it is an option's."""
GIVEN_TEXT = re.compile(
    r"(?:^|[.?!;)。？！])[ \t]{0,4}(?:the |this )?(?:review|text|sentence|e-?mail|passage|article|input|context|comment"
    r"|statement|tweet|paragraph|document|story|poem|headline|dialogu?e?|conversation|message|post|premise|transcript"
    r"|abstract|评论|文本|文章|句子|内容|段落|输入|邮件|本文|記事|テキスト|レビュー|글|문장|기사|본문|리뷰|bewertung"
    r"|satz|artikel"
    r"|reseña|texto|artículo|texte|phrase|avis|testo|recensione|текст|отзыв)(?: \d+)? ?[:：]",
    re.IGNORECASE | re.MULTILINE,
)
ANSWER_SAID = re.compile(
    r"(?<=\n)(?:(?:so|therefore|thus|hence),? )?(?:the )?(?:correct |right |expected )?answer (?:is|to (?:this|the"
    r"|your))\b"
    r"|(?<=\n)the (?:sorted|resulting|reversed|converted|translated|rewritten) (?:\w+ ){1,2}(?:is|are)\b"
    r"|(?<=\n)i(?:'m| am) sorry,? but i (?:can't|cannot|can not|am (?:not able|unable) to) (?:assist|help|provide)\b"
    r"|(?<=\n)[^\n]{0,8}(?:正确)?答案是"
    r"|(?<=[.?!] )here(?:'s| is) (?:how (?:you|to)\b|(?:an?|one) (?:possible|simple|basic|complete|sample"
    r"|working|straightforward|python|java|javascript) (?:[\w-]+ ){0,2}"
    r"(?:implementation|solution|example|function|script|program)\b)(?=[^\n]*:\s*\n)"
    r"|(?<=[。！？\n])(?:以下|下面)是(?:一个|一些|几个)[^。，：\n]{0,12}?(?:示例|例子|代码|脚本|实现|步骤)(?!输入"
    r"|输出|数据)(?=[^\n]*[：:。]\s*\n)",
    re.IGNORECASE,
)
_PROGRAM = r"(?:code|function|implementation|program|script|solution|class|method|snippet|query|example)"
# What a model says before a program that it hands out, and a user before one of his own.
ANNOUNCES = re.compile(
    r"(?:(?<=[.?!] )|(?<=\n))(?:here(?:'s| is)|below is) (?:the|an?|one|your) (?:[\w+#.-]+ ){0,4}?"
    rf"(?P<what>{_PROGRAM})s?\b(?![^\n:]{{0,60}}\b(?:i|we|my|our)\b)[^\n]{{0,80}}[:：][ \t]*\n+(?=[ \t]*```)",
    re.IGNORECASE,
)
TITLE_LINE = re.compile(r"(?:#+ *)?\*\*(?P<words>[^*\n]+?)[:：]?\*\*[:：]?[ \t]*")
"""A line that is set in bold: the title of what stands below it."""
HERE_IS = re.compile(r"(?:here(?:'s| is| are)|below (?:is|are)|(?:an|one) example)\b", re.IGNORECASE)
GIVES_THE_PROGRAM = re.compile(
    rf"(?:here(?:'s| is)|below is) the (?:[\w+#.-]+ ){{0,3}}{_PROGRAM}\s*[:：]", re.IGNORECASE
)
ABOUT_THE_GIVEN = re.compile(
    rf"\b(?:provided|given|following|below|above)\b[^.?!\n]{{0,40}}\b{_PROGRAM}\b", re.IGNORECASE
)
"""A question or an order about a program, which then stands below it."""
OPTION = re.compile(r"[ \t]*(?:\*\*)?([A-E])[).:](?!\S)")
MADE = re.compile(r"写|实现|生成|创建|書|作成|実装|作っ|작성|구현|만들")
GIVEN_HERE = re.compile(
    r"以下|下面|下列|给定|如下|这[段个]|修改|修复|次の|この|バグ|直|修正|다음|고쳐|이 (?:코드|함수|프로그램)|수정|오류"
)
# A line that goes on to the answer, below a question or its options.
TURNS = re.compile(
    r"(?:explanation ?:|解析[:：]"
    r"|to (?:determine|solve|find|answer|calculate|compute|create|do)\b|let's (?:denote|analy[sz]e|break|start"
    r"|solve)\b"
    r"|the (?:correct|right) (?:answer|option|choice)\b|(?:在|对于)[^，。\n]{1,30}中，(?:您|你|我们)可以"
    r"|here(?:'s| is) (?:an?|the|one) (?:[\w-]+ ){0,4}(?:code|example|snippet|solution|implementation|script|program"
    rf"|function|query|answer)\b(?! (?:\w+ )?(?:that )?(?:i|we)\b)|(?:{OPENING})[ \t]*[,!，！])",
    re.IGNORECASE,
)
SAYS_YES = re.compile(
    r"(?:yes|no|ja|nein|oui|sí|sì|да|нет|是的|不是|はい|いいえ)(?=[.,!，。！、]|\s*$)|because\b|因为", re.IGNORECASE
)
"""So a line goes on, too, and so does a text that the question is about."""
# What a program is ordered with, and what says that the code below is given rather than made.
_MAKES = r"(?:write|create|implement|develop|generate|build|design|craft|make)"
WRITES = re.compile(
    rf"\b{_MAKES}\b(?: me)? (?:[\w+#.-]+ ){{0,5}}?(?:function|program|script|class|method|code|quer(?:y|ies)|app"
    rf"|application"
    r"|component|module|api|regex|command|algorithm|solution|snippet|loop|sql|html|css|statement)s?\b(?! coverage)"
    r"|\b(?:provide|give|show)\b(?: me)?(?: with)? (?:an?|some|the) (?:[\w-]+ ){0,3}?(?:code|snippet|script|function"
    r"|program)\b"
    rf"|\bhow (?:to|do i|can i|can we) {_MAKES}\b|^\W*(?:\w+ )?(?:program|script|function|code) (?:to|that|which)\b"
    r"|(?:写|实现|生成|创建|定义)[^。\n]{0,30}(?:函数|程序|类|脚本|代码|方法|示例)|(?:関数"
    r"|プログラム)[^。\n]{0,20}(?:書|作成)|함수[^.\n]{0,20}작성"
    r"|\b(?:escrib|cre[ae]|écri|crée|schreib|erstell|scriv|напиш|созда)\w*[^.\n]{0,30}\b(?:func|fonction|funktion"
    r"|funzion|função"
    r"|програм|функци|script|skript|program)\w*",
    re.IGNORECASE,
)
# A program by its name: what is asked about it needs the program, but for the order to make it.
NAMED = re.compile(r"`([A-Za-z_]\w*)[^`\n]{0,60}`")
MADE_BY_NAME = re.compile(rf"\b{_MAKES}\b[^.\n]{{0,80}}$", re.IGNORECASE)
GIVEN = re.compile(
    r"\b(?:following|below|above|the given|given (?:code|function|program|class|snippet)|provided|existing|current"
    r"|here(?:'s| is| are)|sample"
    r"|e\.g|such as"
    r"|like this|signature|template|skeleton|start(?:s|er|ing)?|complete|finish|fix|debug|correct (?:the|this|it|any"
    r"|my)|refactor|rewrite"
    r"|modify"
    r"|my|i have|i wrote|i've|tried|this (?:code|function|program|class|script))\b|\b(?:examples?|inputs?"
    r"|outputs?)\s*[:：]|[:：]\s*$|\b(?:this|these|those)(?: \w+){0,2}[.:]?\s*$"
    r"|以下|下面|下列|给定|如下|这段|修改|修复",
    re.IGNORECASE,
)
# A question or an order about a text or a program that its user gives.
POINTS = re.compile(
    r"\b(?:this|these|those|my|our|here|following|below|above|the (?:given|provided))\b"
    r"|\bthe (?:story|dialogu?e|text|sentences?|poem|passage|paragraph|conversation|letter|e-?mail)\b"
    r"|\b(?:can|could|would|will) (?:you|someone|anyone) (?:please |kindly |help (?:me )?)?(?:fix|correct|debug"
    r"|refactor|optimi[sz]e|improve|translate|rewrite|rephrase|paraphrase|summari[sz]e|shorten|proofread|continue"
    r"|complete|finish)\b"
    r"|以下|下面|下列|给定|如下|[这這]|次の|この|다음|이 ",
    re.IGNORECASE,
)
THE_PROGRAM = re.compile(
    r"\bthe (?:\w+ )?(?:code|function|program|script|snippet|class|method|query|command|loop)\b", re.IGNORECASE
)
DESCRIBES = re.compile(r"(?:this|these|the|it|my)\b|这|该|此", re.IGNORECASE)
"""What a user says of the program that he gives below."""
# What a program has that is made, however short it is.
DEFINITION = re.compile(
    r"^\s*(?:(?:async\s+|pub\s+|export\s+)*(?:def|class|func|fn|function|import|from|using|package|const|let|var)\b"
    r"|#include|(?:public|private|static|void)\b|(?:select|with|insert|update|delete)\b|(?:for|while)\b|<!doctype"
    r"|<html)"
    r"|=>|\bprint|console\.|\becho\b|^\s*[\w ]+\s*=\s*\S",
    re.IGNORECASE | re.MULTILINE,
)
TABLE_ROW = re.compile(r"[ \t]*\|[^\n]*\|[ \t]*")
TABLE = re.compile(r"\s*create table\b", re.IGNORECASE)
ORDERS_A_TABLE = re.compile(r"\b(?:tables?|schema|ddl)\b", re.IGNORECASE)
STUB = re.compile(
    r"^\s*(?:pass|\.\.\.|raise NotImplementedError.*|todo!\(\).*)\s*(?:#.*)?$|your (?:code|implementation|solution)"
    r"|todo|fixme|^>>> |^assert\b|^\w+\([^\n]*\) *(?:==|->|=>|# *=|;?\s*\n?//)|(?:你的|您的)代码|在这里",
    re.IGNORECASE | re.MULTILINE,
)
# What goes on with the request below a question.
CONTEXT = re.compile(
    r"\s*(?:here|below|for example|examples?|e\.g|inputs?|outputs?|note|given|constraints?|requirements?|assum\w+"
    r"|suppose"
    r"|consider|the following|hints?|details|context|background|data|code|error|示例|例如|输入|输出|要求|注意|假设)",
    re.IGNORECASE,
)
PART_OF_A_TASK = re.compile(
    r"(?:the )?(?:requirements?|examples?|constraints?|inputs?|outputs?|notes?|details|context|description|background"
    r"|tasks?|function|specifications?|features|instructions?|goals?|data|code|format|hints?|criteria|parameters"
    r"|returns?"
    r"|要求|示例|例子|输入|输出|约束|注意|任务|描述|背景|提示|数据|参数)",
    re.IGNORECASE,
)
# Below a question that names its subject, or an order to explain it.
DEFINES = re.compile(
    r"(?P<det>(?:an?|un[ae]?|eine?|um|uma|uno)\s+)?(?P<subject>(?:(?:the|el|la|le|les|der|die|das|il|lo"
    r"|o)\s+)?[^\s,.:;?!]+(?:\s+"
    r"[^\s,.:;?!]+){0,2}?)\s+(?:is|are|was|were|looks?|means?|refers? to|stands for|es|son|significa|est|sont|signifie"
    r"|désigne|ist|sind"
    r"|bedeutet|è|sono|é|são|это|[—–-] ?это|является)\s(?!(?:expected|supposed|required|allowed|given|to)\b)"
    r"|(?P<cjk>[^\s，。、？]{1,16}?)(?:是指?|とは|は|이란|[은는] )",
    re.IGNORECASE,
)
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ORDERS_A_LIST = re.compile(
    r"\W{0,8}(?:(?:please |can you |could you )?(?:list|name|give|mention|suggest|tell)(?: me| us)?"
    r"|what are) [^.?:\n]{0,40}?"
    rf"\b(?P<number>{'|'.join(NUMBERS)}|\d{{1,2}})\b[^.?:\n]*[.?]\s*$",
    re.IGNORECASE,
)
"""An order for so many things."""
ITEM = re.compile(r"\s*(?:\d{1,2}[.)]|[-*•])[ *]*(?P<words>\S[^\n]*)")
LIMIT = re.compile(
    r"(?:no|not|never|without|only|all|each|every|they|it|at (?:least|most)|max(?:imum)?|min(?:imum)?|up to|under"
    r"|within|fewer|less|more)\b",
    re.IGNORECASE,
)
"""What the items of a list are to be like."""
ASKS_FOR_A_FACT = re.compile(
    r"\W{0,8}(?:what|why|who|whose|when|where|which|how (?:many|much|long|far|old))\b|.*(?:什么|谁|哪)", re.IGNORECASE
)
WHY = re.compile(r"\W*why\b", re.IGNORECASE)
BECAUSE = re.compile(r"\b(?:because|due to|since)\b", re.IGNORECASE)
EXPLAINS = re.compile(
    r"(?:\A|(?<=\n\n))"
    r"(?:please )?(?:explain|define|describe|summari[sz]e|explica|describe|explique[zr]?|erkläre?|spiega|explique"
    r"|объясни(?:те)?)\b"
    r"(?!.*(?:\b(?:following|below|this|these)\b|:[ \t]*$))",
    re.IGNORECASE | re.MULTILINE,
)
"""A paragraph that orders to explain something, of which it does not give more below."""
DO_THIS = re.compile(
    r"(?![^\n]*\b(?:fails?|errors?|first|gives)\b)(?:use|run|type|call|execute|install|try)\b[^.?!\n]{0,80}[:：]\s*$",
    re.IGNORECASE,
)
MAIL = re.compile(
    r"(?:dear |sehr geehrte|estimad[oa]|chère? |gentile |уважаем|尊敬的)[^.\n]{0,60}(?:[,!:，！：]\s*(?:\n|$)|\n|$)"
    r"|(?:subject|betreff|asunto|objet|oggetto|assunto|тема|主题|件名|제목) ?[:：]",
    re.IGNORECASE,
)
ASKS_FOR_MAIL = re.compile(
    r"\b(?:write|draft|compose|create|generate|schreibe?|escribe|redacta|écri[st]|rédige[zr]?|scrivi|escreva|напиши)\b"
    r"(?![^.\n]{0,80}\b(?:following|below|this|reply to)\b)[^.\n]{0,80}\b(?:e-?mails?|letter|mail|correo|lettre|brief"
    r"|lettera|письмо)\b"
    r"|写[^。\n]{0,20}(?:邮件|信)|メール[^。\n]{0,10}書|이메일[^.\n]{0,10}작성",
    re.IGNORECASE,
)
