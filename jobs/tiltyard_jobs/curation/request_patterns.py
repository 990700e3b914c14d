"""What requests and code look like, in a dozen languages: the patterns of `request`."""

from __future__ import annotations

import re

MODELS = r"(?:qwen|tongyi|chatgpt|gpt|claude|llama|gemma|gemini|deepseek|mistral|phi|glm|chatglm|yi|copilot)[\w.-]*"
ABOUT_A_MODEL = re.compile(rf"\s*{MODELS} [a-z]", re.IGNORECASE)
"""A sentence of which a model is the subject: that something should be so asks for nothing then."""
# Behind the label `Answer:`, what the answer is to be like. A text to work on may stand behind the label, too.
_OR = r"(?:,? (?:o(?:de)?r|o|ou|или) |/)"
_WORD = r"['\"“*]{0,3}[^\W\d]+['\"”*]{0,3}"
FORMAT = re.compile(
    rf"\s*(?:(?:yes|true|ja|sí|sì|sim|oui|да){_OR}|{_WORD}(?:, {_WORD}){{0,4}}{_OR}{_WORD}\s*(?:[.?!;(]|$)"
    r"|(?:是|对|正确)(?:或|/|还是)|はい(?:か|/|または)|(?:예|네)(?: 또는|/)"
    r"|(?:should|must|needs? to|please|briefly|soll|muss|bitte|debe|por favor|deve|doit|s'il)\b"
    r"|(?:one|a single|two|three) (?:word|sentence|line|letter|number|paragraph)|one of (?:the following|these)"
    r"|in (?:one|a single|two|three|at most|under|less|fewer|no more|\d+ (?:word|sentence)|english|french|german"
    r"|spanish|chinese|json|plain|bullet|your own|einem (?:satz|wort)|una (?:frase|parola))"
    r"|as (?:json|bullet|a (?:table|number))\b"
    r"|(?:at most|no more than|max(?:imum)?\.?|up to|under|within) \w+ (?:word|sentence|line|character|token|bullet)"
    r"|(?:only|just) (?:with|in|(?:the|one|a) (?:letter|number|word|name|code|option))\b"
    r"|(?:write|explain|describe|choose|give|state|pick|select|justify|limit|keep|provide) (?:your|one|only|it|in|at|up"
    r"|briefly|between|from|the (?:letter|number|correct|right|best))\b"
    r"|(?:höchstens|máximo|не более) \w|e[nm] um?n?[ae]? (?:frase|palabra|palavra|phrase|mots?)|одним (?:слов|предлож)"
    r"|请|只(?:需|能|要|回)|不超过|应(?:少于|不超过|该?包含)|用(?:一|两|中文|英文)|一[文言]で|日本語で|한 문장)",
    re.IGNORECASE,
)
# How something is done, in other languages than English: "Para ordenar una lista, puedes usar sorted."
_CAN_BE_DONE = (
    r"(?:(?:para|pour|um|чтобы|для|per|要|为了|在)[^.?!。？！\n]{1,120}?[,，]? ?)?(?:(?:(?:se )?puedes?|podemos"
    r"|vous pouvez"
    r"|tu peux"
    r"|on peut|nous pouvons|(?:können|kannst|kann) (?:sie|du|man|wir)|du kannst|sie können|man kann|puoi|si può"
    r"|possiamo"
    r"|você pode|pode-se|podemos|(?:вы )?можете|можно|мы можем) (?:\S+ ){0,4}?(?:usar|utilizar|hacer(?:lo)?|seguir"
    r"|emplear"
    r"|utiliser|faire|suivre|employer|verwenden|benutzen|nutzen|usare|utilizzare|fare|fazer|использовать"
    r"|воспользоваться"
    r"|применить|сделать)\b|(?:(?:你|您|我们)?可以(?:直接)?(?:使用|用|通过|利用|采用)))"
    r"|[^。？！\n]{1,60}(?:には|場合は|ときは)、?[^。？！\n]{1,60}(?:使います|使用します|使うことができます"
    r"|使用できます|使えます|利用できます)。"
    r"|[^.?!\n]{1,60}(?:려면|위해서?는?|때는) [^.?!\n]{1,60}(?:사용(?:할 수 있|하면 됩|합)|이용할 수 있|쓸 수 있)"
)
CAN_BE_DONE = re.compile(_CAN_BE_DONE, re.IGNORECASE)
OPENING = (
    r"(?:certainly|sure(?: thing)?|of course|absolutely|great question|good question|no problem|got it|i'?d be happy to"
    r"|i(?:'m| am) (?:happy|glad) to help|i can (?:certainly )?help(?: you)?|thank you for (?:your|the) question)\b"
    r"|(?:当然|好的|没问题|可以的|很高兴|当然可以|claro|por supuesto|desde luego|bien sûr|certainement|natürlich|gerne"
    r"|selbstverständlich"
    r"|com certeza|certamente|certo|конечно|もちろん(?:です)?|承知しました"
    r"|물론(?:입니다|이죠|이에요)?|네[,.!])(?![\w]{3})"
)
VOICE = re.compile(
    rf"(?:{OPENING})[ \t]*[,!.:，！。：]"
    r"|(?:below|following|here)(?:'s| is| are) (?:an?|the|one|some|how|what|two|three|several"
    r"|your)\b(?! (?:\w+ ){0,4}(?:original|existing|current|starting|inputs?|outputs?|tables?|lists?|arrays?|texts?"
    r"|paragraph|sentences?|passage|article|logs?|data|dataset|problem|question|error|message|task|(?:code|snippet"
    r"|function|script|query) (?:that )?(?:i|we)"
    r"|constraints))"
    r"|(?:okay|ok|alright|yes)[,!.]* here(?:'s| is) (?:an?|the|your) (?:[\w-]+ ){0,3}(?:explanation|example|solution"
    r"|implementation|version|script|answer|breakdown|summary|guide)\b"
    r"|to [^.?!,\n]{1,80}, (?:run|use|type|execute|call)\b[^.?!\n]*[:：`]"
    r"|to (?:tackle|solve|address|approach|answer|complete|accomplish) (?:this|the)\b[^.?!\n]{0,60}, i\b"
    r"|(?:yes|no|ja|nein|oui|non|sí|да|нет|是的|不是)(?:[,，.] |，)|(?:solution|answer)s? (?:to|for)\b"
    r"|one (?:\w+ )?(?:way|approach|option|method|solution|possibility)\b[^.?!\n]{0,80}?"
    r" (?:is|would be|could be) (?:to|by)\b"
    r"|(?:以下|下面)(?:是|为)|以下は(?!私)"
    r"|다음은(?! ?(?:제|내|저희|우리) )|示例代码|代码示例|这(?:是|里是)一个(?:简单的)?(?:示例|例子|实现)"
    r"|(?:aquí|aqui) (?:tienes|está|hay|vai)|voici|hier ist|hier sind|ecco|вот\b"
    r"|(?:to|in order to|for|in|if|when|with|as|first)\b(?:[^.?!\n]|[.?!](?=[\w\"'”])){0,160}?,? (?:(?:you|we) (?:can"
    r"|could"
    r"|(?:first )?need to"
    r"|should|will|may|would|have to|must)\b(?! (?:assume|also assume|not\b))|let's\b|follow\b|i(?:'ll| will)\b"
    r"|one can\b)"
    r"|you can (?:use(?! any| either| only| whatever| one of)|do|achieve|create|implement|follow|solve|write|try"
    r"|define|modify|install|calculate|find|get|add|set)\b[^?]*(?:`|:|follow|function|method|code|library|module"
    r"|command|step)"
    r"|(?:this|the above|the following|the provided|the given|these|the) (?:\w+ ){0,3}(?:code|function|program|script"
    r"|snippets?|example|query|method|class|implementation|command|solution|regex|app|application|component|page)s?"
    r" (?:(?!should|must|may|can|could|would|will|shall|needs?|has|does|to|that|is)\w+ )?(?:defines?|creates?"
    r"|imports?|iterates?|works|works? by|converts?|counts?|reverses?|adds?|finds?"
    r"|gets?|loads?"
    r"|initiali[sz]es|declares|performs|sets?|outputs?|accepts?|multiplies|filters?|computes?|represents?"
    r"|is (?:a (?:simple|basic)|written|designed)|uses?|demonstrates?|shows?|takes?|calculates?|prints?"
    r"|will (?:output|print"
    r"|create|return|display|produce|generate)|assumes?|sorts?|returns?|reads?|includes?|consists?|provides?"
    r"|implements?|checks?|generates?|displays?|allows?)\b"
    r"|in this (?:code|example|script|implementation|program|function|solution|version|article|tutorial|guide|case)\b"
    r"|(?:在这个|在上述|上述|上面的|这段|这个|此|该)(?:代码|函数|示例|程序|例子|脚本|方法|类)"
    r"|(?:在[^，。\n]{1,30}中，)?(?:您|你|我们)可以(?:使用|通过|按照|尝试|在|将|用|根据|参考)|首先[，,]|步骤如下"
    r"|[^。！？\n]{1,60}?(?:通常|一般)[^。！？\n]{0,12}(?:以下|如下)"
    r"|(?:the )?(?:step-by-step|steps?)\b[^\n]{0,60}:|let's (?:break|start|create|define|assume|go|write|see|first)\b"
    r"|let me\b|i'(?:ll|m going to) (?:provide|explain|show|help|write|create|give|use)\b"
    r"|i(?:'m| am) (?:sorry|unable|not able|an ai|a language model)|as an ai(?: language)?(?: model"
    r"| assistant)?,? i\b|as an? (?:programming|coding|ai"
    r"|helpful|language) (?:assistant|model)\b|i (?:cannot|can't) (?:assist|help|provide|fulfill)",
    re.IGNORECASE,
)
# What a user begins with and an assistant does not: an apology for a question, or for what he does not know, and what
# he has written or tried himself. An assistant apologises for a mistake, or since it cannot help.
_SORRY = (
    r"(?:(?:(?:i(?:'m| am) )?(?:so |very |really |terribly )?sorry|apologies|my apologies|i apologi[sz]e|pardon(?: me)?"
    r"|excuse me|forgive me)(?: in advance)?[,.!:;]*(?: (?:but|though|as|because|since|that|it's just that))?)"
)
_I_LACK = (
    r"i(?:(?:'m| am) (?:(?:very |quite |really |just |only |still |also |totally |completely |rather |a bit "
    r"|a little )*(?:new\b|beginner|stuck|lost\b|confused (?:about|by|why|how|with)|learning|starting|trying|struggling"
    r"|getting|having trouble|a (?:\w+ )?(?:beginner|newbie|noob|student|novice)|not (?:good at|sure (?:how|why|where"
    r"|which|when|if (?:my|this|it))|a (?:\w+ )?programmer|used to|very (?:good|familiar|experienced|technical)|getting"
    r"|seeing)))| (?:still |really |just |simply |also |honestly |probably )*(?:(?:don't|do not|can't|can ?not|couldn't"
    r"|could not|didn't|did not|never) (?:really |quite |fully |seem to |even |yet |completely "
    r"|clearly )*(?:(?:understand|figure|see|get|got|grasp|know|follow|remember|find|work out|wrap|tell|make|solve"
    r"|manage|install|import|compile|connect|start|build|seem|read|use|learnt|learned|think of)\b(?! (?:that|this"
    r"|it)[.!])(?! (?:your|the) (?!error )(?:\w+ )?(?:question|request|query|message|prompt|input"
    r"|instructions?)\b(?! (?:\d"
    r"|[ivx]+\b|of my|in my|from my))| what you(?:'re| are| want| need| mean\b(?! (?:by|with|in))| would)"
    r"| any (?:information|records?|results?|details)|(?: \w+){0,3} you)|(?!(?:assist|help|comply|fulfil|provide|answer"
    r"|share|discuss|engage)\w*\b)\w+ [^.?!\n]{0,60}\bmy (?!training|opinion|knowledge|programming|guidelines|capabilit"
    r"|abilit|previous|responses?|own|instructions))|(?:forgot|keep (?:getting|seeing|forgetting|running)|get (?:an?"
    r"|the|this)\b|need (?:some |your )?(?:help|advice)|have (?:a|an|another|one more|this|some|two|tried|read"
    r"|been (?:trying|stuck|looking))\b(?! (?:information|access|knowledge))|tried|wrote|asked|know (?:this|it"
    r"|that this)|meant|want to|must have)))"
)
_FOR_ASKING = (
    r"(?:(?:for|about) (?:(?:the|my|this|such|another|any|a|an|all|yet) )*(?:[\w-]+ ){0,2}?(?:questions?|posts?|english"
    r"|grammar|spelling|formatting|format|code|bother|text|length|typos?|ignorance|screenshot|noise|snippet|explanation"
    r"|description|asking|bothering|posting|being|not knowing|not being)\b(?<!the explanation)|to (?:bother|ask|disturb"
    r"|trouble|interrupt|be)\b|if (?:this|that|it|the question|my|i(?:'m| am|'ve| have| ask| missed| overlooked| sound"
    r"| don't))\b|my (?!(?:previous|training|knowledge|last|mistake|bad|capabilit|abilit|programming|primary|purpose"
    r"|role|responses?|answers?|guidelines|creators?|initial|earlier)))"
)
_GIVES_OWN = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|definitely|okay|ok|yes|yeah|alright)[,!.:;]*(?: (?:then|so"
    r"|well),?)? (?:(?:here(?:'s| is| are)|this is|these are|that's|below (?:is|are)|attached (?:is|are)|here comes?"
    r"|(?:i(?:'ll| will) |let me )?(?:paste|post|attach|show|share)(?: you)?) (?:my\b(?! (?:solution|answer|response"
    r"|suggestion|take|recommendation|explanation|implementation|approach|best))|our\b|what (?:i|we)(?: have|'ve| wrote"
    r"| tried| got| did| use| see)\b|how (?:i|we) (?:do|did|call|use|tried)|(?:the|an?"
    r"|some) (?:[\w-]+ ){1,4}?(?:that )?(?:i|we)(?:'m| am|'ve| have| wrote| use| get| got| tried| made| run| see| need"
    r"| want| work)\b(?! (?:written|created|made|come up|prepared|put together)? ?for you))|(?:i|we)(?:'ve| have"
    r"| had)? (?:already |also |just |even )*(?:tried|read|checked|searched|googled|looked|used to|installed"
    r"|know (?:that|how|about)|wrote|could (?:just |simply )?use|want to|restarted|did)\b)"
)
_OWN_WORDS = (
    # Spanish, French, German, Italian, Portuguese, Russian, Chinese, Japanese, Korean
    r"(?:ja|sí|oui|sì|sim|claro(?: que sí)?|por supuesto|vale|bien sûr|d'accord|natürlich|klar|gerne|sicher|certo"
    r"|certamente"
    r"|claro que sim|com certeza|конечно|да|хорошо|当然(?:可以)?|好的?|可以|もちろん(?:です)?|はい|承知しました"
    r"|물론(?:입니다|이죠|이에요)?|네)[ ,.!:，。！、]*(?:(?:aquí|aqui|este|esta|eis) (?:está|va|tienes|es|é)? ?(?:el "
    r"|o |a )?(?:mi|mis|meu|minha|nuestro)\b|(?:aquí|aqui) (?:está|va|vai|tienes) (?:el|la|o"
    r"|a) [^.:\n]{1,40}\bque (?:he|escribí|tengo|escrevi|tenho|fiz)\b|(?:voici|voilà|c'est) (?:mon|ma|mes|notre)\b"
    r"|(?:voici|voilà) (?:le|la|ce) [^.:\n]{1,40}\bj'ai\b|(?:hier|das|dies) (?:ist|sind) (?:mein|unser)\w*|ecco (?:il "
    r"|la |i |le )?(?:mio|mia|miei|mie|nostro)\b|(?:это|вот) (?:мой|моя|моё|мои|наш)\b|вот [^.:\n]{1,40}(?:я написал"
    r"|мой|моя)|(?:这是|以下是|下面是)(?:我|我们)的?|(?:これ|以下|こちら)[がは](?:私|僕|自分)|(?:이것은|다음은|여기"
    r"|이게) ?(?:제|내|저희)(?= ))"
)
OWN = re.compile(rf"\s*(?:{_SORRY} (?:{_I_LACK}|{_FOR_ASKING})|{_GIVES_OWN}|{_OWN_WORDS})", re.IGNORECASE)
# What a user gives who was asked for it, and asks about below: "Sure, here is the code: … Why does it fail?"
GIVES = re.compile(
    r"\s*(?:(?:sure(?: thing)?|certainly|of course|absolutely|definitely|okay|ok|yes|yeah|alright)[,.!]* )"
    r"(?:here(?:'s| is| are)|this is|these are|below (?:is|are)) (?:(?:the|an?|some|that|this) )?(?:[\w.+#-]+ ){0,3}?"
    r"(?:code|functions?|script|program|snippet|quer(?:y|ies)|errors?|exception|traceback|stack|logs?|output|data"
    r"|dataset"
    r"|schema|text|table|file|class|method|component|config(?:uration)?|message|sentence|paragraph|list|json|sql"
    r"|formula"
    r"|html|css|dockerfile|yaml)\b",
    re.IGNORECASE,
)
ABOUT_IT = re.compile(r"\b(?:it|this|that|these|them|i|my|me|the|wrong|here)\b", re.IGNORECASE)
ORDERS_A_THING = re.compile(
    r"\b(?:(?:can|could|would) you (?:please |kindly )?|please )(?:write|implement|create|design|build|generate|suggest"
    r"|recommend)(?: me)? (?:an?|the|some)\b"
    r"|\b(?:can|could|would) you (?:please )?provide me with an? (?:[\w-]+ ){0,3}(?:guide|example|function|script"
    r"|program)\b|\b(?:write|draft|make|compose|translate) (?:it for )?me\b",
    re.IGNORECASE,
)
_PROGRAM = r"(?:function|program|script|method|class|application|app|algorithm|query|web ?page|website)"
TASK_SAID = re.compile(
    r"\s*(?P<as_answers>to (?:solve|complete|accomplish|tackle|address) (?:this|the)"
    r" (?:problem|task|challenge|exercise|question), )?(?:i|you|we) (?:need|have|want) to"
    r" (?:write|create|implement|develop|design|build) (?:an?|the|some|two)\b"
    rf"[^.?!\n]{{0,60}}?\b{_PROGRAM}s?\b",
    re.IGNORECASE,
)
"""A task in the form of a statement, with which a text begins; an answer may begin so, too."""
TASK_NAMED = re.compile(
    rf"\s*to (?:write|create|implement|develop|design) an? (?:[\w-]+ ){{0,3}}{_PROGRAM}\b[^,\n?!]*\.(?:\s|$)",
    re.IGNORECASE,
)
"""A task without its main clause."""
MAKE_THIS = re.compile(
    r"(?:implement|write|create|develop|build) (?:this|the|an?) (?:[\w-]+ ){0,3}(?:program|function|script|code|class"
    r"|method|query"
    r"|algorithm|solution)\b",
    re.IGNORECASE,
)
# A text that the request is about, in Chinese, Japanese and Korean: "Below is the text". One that is made has a word
# for that; code counts as made where the request orders a program.
HANDED_OVER = re.compile(
    r"(?:(?:以下|下面)(?:是|为|は)|다음은)(?![^。.：:\n]{0,30}(?:一[个段篇封份首]|例|예시|예제|サンプル|实现|実装"
    r"|구현|修正|수정"
    r"|改|개선|后的|翻译|訳|번역|总结|要約|요약))[^。.：:\n]{0,30}?(?:(?P<code>代码|函数|程序|コード|関数|プログラム"
    r"|코드|함수"
    r"|프로그램)|文章|文本|文字|内容|邮件|评论|数据|原文|段落|对话|日志|报错|本文|記事|テキスト|文書|メール|会話"
    r"|レビュー|データ|ログ"
    r"|エラー|論文|資料|手紙|議事録|글|기사|내용|본문|문장|텍스트|문서|메일|대화|리뷰|데이터|로그|오류|원문|자료"
    r"|지문|회의록)"
)
VERBS = (
    "act|add|adapt|analy[sz]e|answer|apply|arrange|assume|build|calculate|change|brainstorm|check|choose|classify|clean|combine"
    "|compare|complete|compose|compute|"
    "configure|consider|construct|continue|convert|correct|count|craft|create|debug|decide|define|delete|demonstrate|deploy|derive"
    "|describe|design|determine|develop|"
    "discuss|divide|draft|draw|edit|elaborate|ensure|enumerate|estimate|express|evaluate|examine|explain|explore|extend|extract|fill|filter|find"
    "|finish|fix|follow|format|formulate|generate|"
    "get|give|given|group|guess|help|highlight|identify|illustrate|imagine|implement|improve|include|insert|install"
    "|integrate|interpret|introduce|investigate|join|justify|"
    "list|load|make|merge|modify|move|name|optimi[sz]e|organi[sz]e|outline|paraphrase|parse|perform|pick|plan|plot"
    "|predict|prepare|present|print|propose|prove|provide|"
    "pretend|rank|read|recommend|refactor|remove|rename|reorder|reorgani[sz]e|rephrase|replace|report|research|retrieve"
    "|return|reverse|review|revise|rewrite|run|scrape|search|select|"
    "send|set|share|show|simplify|simulate|sketch|solve|sort|specify|split|state|store|study|suggest|suppose"
    "|summari[sz]e|swap|teach|tell|test|think|track|train|translate|try|turn|update|"
    "use|utili[sz]e|validate|verify|visuali[sz]e|what's|write"
    "|aggregate|allow|annotate|avoid|benchmark|cache|decode|decrypt|do|document|download|encode|encrypt|enforce|expose"
    "|guarantee|handle|hash|index|inspect|iterate|keep|limit|log|map|measure|migrate|mock|monitor|never|normali[sz]e"
    "|partition|port|process|profile|put|query|reduce|reject|render|resize|rework|round|scan|schedule|seriali[sz]e"
    "|shorten|speed|start|stop|stream|strip|sum|support|take|tidy|trace|troubleshoot|transform|traverse|trim|upload|walk|wrap"
    "|advise|align|animate|authenticate|center|clone|connect|critique|crop|disable|enable|flatten|guide|invent|multiply"
    "|open|paginate|proofread|rate|recite|revert|say|shuffle|sing|spell|subtract|undo|unzip|zip"
)
# Three kinds of words that ask. Those that turn to somebody ask wherever they stand; those that order something ask
# where no answer has begun; those that only sound like a task ask where nothing has the form of an answer.
TURNS_TO = re.compile(
    r"\bplease\b(?! (?:note|be aware|keep in mind|remember|refer|see)\b)|\b(?:can|could|would|will) (?:you|someone"
    r"|anyone|somebody|anybody)\b"
    r"|\b(?:help|tell|show|give|teach|ask) (?:me|us)\b"
    r"|(?:^|[.!?:;\n#]\s{0,4})(?:\w+,? )?(?:how to|how do|how can|why (?:does|do|is|are))\b"
    r"|\bhow (?:do|can|could|should|would) (?:i|we|you)\b"
    r"|\bi(?:'d| would) (?:like|love|appreciate)\b|\bwhat (?:is wrong|am i|should i|do i|can i)\b"
    r"|\b(?:you are (?:given|asked|tasked|required)|you're (?:given|asked|tasked)|your (?:first |next )?(?:task|job"
    r"|goal)"
    r"|(?:the|our|my) (?:task|goal|challenge|problem) is to)\b"
    r"|(?<!申)请(?!求|确保|注意|参考|记住|查看|检查)|(?<![示了明绍])如何|怎[么样]|为何|吗[？?。]|能否|可否"
    r"|帮[我忙](?!的)|我(?:想|要|需要"
    r"|希望|正在|有一)"
    r"|してください|教えて|書いて|ください|ですか|ますか|주세요|해줘|하세요|하시오|인가요|까요|습니까|알려|설명해"
    r"|¿|\b(?:necesito|quiero|preciso|puedes|podrías|você pode|pouvez-vous|peux-tu|j'ai besoin|aidez-moi|bitte"
    r"|können sie|kannst du|ich (?:möchte|brauche)|puoi|potresti|vorrei|мне нужно|помоги\w*|пожалуйста|можете"
    r"|можешь)\b",
    re.IGNORECASE,
)
# Verbs that order at a sentence's beginning, in other languages than English.
IMPERATIVE = (
    r"(?:ordena|calcula|suma|muestra|traduce|resume|enumera|lista|describe|define|compara|redacta|diseña|implementa"
    r"|convierte|encuentra|busca|analiza|corrige|haz|usa|invierte|cuenta|imprime|dibuja|escrib[ea]|crea|planifica"
    r"|recomienda|sugiere|elige|completa|añade|demuestra|resuelve|trie[zr]?|calcule[zr]?|affiche[zr]?|tradui(?:s|sez"
    r"|re)|résume[zr]?|liste[zr]?|décri(?:s|vez|re)|compare[zr]?|rédige[zr]?|implémente[zr]?|converti(?:s|r|ssez)"
    r"|trouve[zr]?|corrige[zr]?|fai(?:s|tes)|utilise[zr]?|inverse[zr]?|compte[zr]?|dessine[zr]?|propose[zr]?|conçois"
    r"|concevez|ajoute[zr]?|vérifie[zr]?|résou(?:s|dre)|résolvez|optimise[zr]?|sortiere?|berechne|zeige?|übersetze?"
    r"|fasse?|beschreibe?|vergleiche?|entwirf|entwickle|implementiere?|finde|suche|analysiere?|korrigiere?|verwende"
    r"|zähle?|zeichne|programmiere?|löse?|prüfe?|formuliere?|baue?|mach|verbessere?|optimiere?|ergänze|ersetze"
    r"|schreibe?|erstelle?|plane?|ordina|calcola|mostra|traduci|riassumi|elenca|descrivi|definisci|confronta|progetta"
    r"|converti|trova|cerca|analizza|correggi|fai|inverti|conta|stampa|disegna|risolvi|verifica|aggiungi|dammi|proponi"
    r"|scrivi|ordene|mostre|traduza|resuma|descreva|defina|projete|implemente|converta|encontre|busque|analise|corrija"
    r"|inverta|conte|imprima|desenhe|resolva|verifique|adicione|gere|sugira|escreva|crie|faça|(?:сложи|отсортируй"
    r"|вычисли|посчитай|подсчитай|рассчитай|переведи|покажи|выведи|перечисли|определи|исправь|используй|придумай"
    r"|проверь|сделай|реши|докажи|нарисуй|преобразуй|замени|добавь|удали|назови|построй|разработай|сгенерируй|напиши"
    r"|создай)(?:те)?)\b"
)
# Where a sentence begins. A name behind a dot ("torch.load") is in the middle of one.
_BREAK = r"(?:[!?:;\n]\s{0,4}|\.(?:\s{1,4}|(?=(?-i:[A-Z]))))"
ORDERS = re.compile(
    rf"(?:^|{_BREAK}|\d[.)]\s+|[*#>%]\s*|-\s+)(?:(?:first|then|now|next|finally|also|in \w+|(?:using|with"
    rf"|without) [\w ]+"
    rf"|given [^,.\n]{{1,80}}|for (?:each|every) [^,.\n]{{1,60}}?),? )?(?:please |kindly |now |then |also )?(?:{VERBS})"
    r"\b(?!\s*[=(.;,])"
    rf"|(?:^|{_BREAK})[^.!?:;,\n]{{2,80}}, (?:please |then )?(?:write|create|implement|explain|find|design|list"
    r"|describe|generate|build|develop|compare|suggest|translate|summari[sz]e|solve|calculate|determine)\b"
    rf"|(?:^|{_BREAK})(?:on|at|once|based|from|after|before|by|inside|within|until|unless"
    r"|under) [^.!?:;,\n]{2,80}, "
    rf"(?:{VERBS})\b(?!\s*[=(.;,])"
    r"|, (?:please |then )?(?:find|calculate|compute|determine|evaluate|solve|prove|show|state|identify|write|explain)"
    r" (?:the|all|an?|its|their|how|what|whether|that|for|if|\\|\$)"
    r"|^\s*(?:#+ *)?(?:a |an |the )?(?:(?!is\b|are\b|was\b)[\w+#]+ ){0,3}(?:program|script|function|code|quer(?:y|ies)"
    r"|class|method|regex"
    r"|command|app|application|tool|test|controller|component|file)s? (?:snippet )?(?:to|that|which|for) \w"
    r"|\bi(?:'m| am)? ?(?:need|want|trying|try|wonder|wondering|looking|getting|stuck|struggling|having"
    r"|have(?! no\b)|get|cannot"
    r"|can't|don't|tried|wrote|keep)\b"
    rf"|(?:^|{_BREAK}){IMPERATIVE}|\b(?:berechnen|implementieren|sortieren|programmieren|übersetzen"
    rf"|erklären)\b"
    r"|什么|为什么|要求[:：]"
    r"|(?:^|[。！？；：:，,.\n]\s{0,4}|\d[.、]\s*|[#>*-] *)(?:现在|然后|再|并)?"
    r"(?:(?:根据|按照?|基于|针对|将|把|对|为|以(?![下上及便]))[^，。！？\n]{1,30}?)?(?:[编撰改重续]?写(?:一|出|个|段"
    r"|篇|下|代码"
    r"|程序"
    r"|函数)|用\S{1,12}(?:写|实现|编写)"
    r"|实现|给(?:出|定|我|你)|创建|设计|解释|生成|打印|计算(?!机)|翻译|列[出举]|描述|修改|分析|比较|判断|证明|求"
    r"|定义一个"
    r"|总结|概括|介绍|推荐|优化"
    r"|检查|找出|补全|回答|简述|论述|举例|归纳|提取|识别|统计|画)(?!了|的是)"
    r"|とは|する(?:関数|プログラム|コード)|作成|작성"
    r"|\b(?:escrib[ea]|cre[ae]|cómo|qué|cuál|explica|genera|dame|escreva|crie|faça|explique|qual"
    r"|écri(?:s|vez)|crée[rz]?|comment|pourquoi|expliquez?|quel(?:le)?s?|donne[rz]?|schreibe?|erstelle?|warum"
    r"|erkläre?|welche[rsn]?|gib|nenne|scrivi|crea|spiega|quali)\b"
    r"|(?:напиш|созда(?:й|т)|объясн|реализ|переве|опиш|сравни|найд|дай|состав|расскаж)\w*|\b(?:почему|какой|какие)\b",
    re.IGNORECASE,
)
HINTS = re.compile(
    r"\b(?:we|my|our) (?:need|want|have|are|task|goal|code|app|team|program|company|project|teacher|boss)\b"
    r"|\b(?:should|must|need to be|is required to|needs to|you have to|your (?:program|function|code|solution))\b"
    r"|(?:^|\n)you (?:need|have|want) to\b|\b(?:task|exercise|objective|requirements?|goal)\s*:"
    r"|\b(?:escribir|crear|écrire|schreiben|erstellen|como|come|wie)\b|\b(?:как|что)\b",
    re.IGNORECASE,
)
QUESTION = re.compile(
    r"[？؟]|\?(?=[\s\"'”’)\]*_`]|$)|¿"
    r"|(?:^|[.!\n] {0,4})(?:what|which|how (?:many|much|do|can|would|does))(?:'s)? [^.?!:\n]{3,200}:\s*(?:\n|$)",
    re.IGNORECASE,
)
UNMARKED_QUESTION = re.compile(
    r"(?:^|[:：])\s*(?:(?:what|who|where|when|which|why|how)(?:'s| (?:is|are|was|were|do|does|did|can|could"
    r"|should|would|will|to|many|much|long|far|old)\b)|(?:was|wer|wo|wann|wie|warum) (?:ist|sind|war|kann"
    r"|heißt)\b|(?:qué|quién|cuál|cómo|dónde) (?:es|son|significa|se)\b|(?:qu'est-ce|quel(?:le)?s? (?:est"
    r"|sont)|comment|pourquoi)\b"
    r"|(?:cos'è|che cos|qual è|chi è)|(?:o que|qual|quem) (?:é|são)\b|(?:что|кто) такое\b|什么是|为什么)",
    re.IGNORECASE,
)
"""A question whose mark may be left out."""
CHOICE = re.compile(
    r"(?:[:：]|(?<!_)_{2,}[.。]?|[(（] {0,8}[)）][.。]?)[ \t]*\n\s*\(?A ?[.)、:：][^\n]*\n\s*\(?B ?[.)、:：]"
)
"""A sentence that is left open, and the options to end it with."""
FIRST_PERSON = re.compile(r"\b(?:I(?=['’ ]+[a-z])|[Mm]y|me)\b|我(?!们)")
# Sentences in English or Chinese, or one in quotation marks, with a full stop at the end.
STATEMENT = re.compile(
    r"(?!\s*(?:is|are|was|were|do|does|did|has|have|can|could|should|would|will|what|which|who|why|when|where|how|to"
    r"|let's)\b)(?:(?=[\s\S]*\b(?:the|an?|and|that|this|with|from|for|to|it|its)\b)(?=[\s\S]*\b(?:am|is|are|was|were"
    r"|has|had|have|can"
    r"|may|might|will|would|should|must|(?<!that )(?<!which )(?:reduces|improves|means|provides|allows|contains"
    r"|requires|enables|supports|helps|suggests))\b)"
    rf"|(?=(?![\s\S]*[\u3040-\u30ff])[\s\S]*(?:是(?!否)|很|非常|能够|可以|具有|用于|提供|通常|包括|了[，。]))"
    rf"|\s*{MODELS} [a-z])"
    r"[\s\S]*[.。！!][\"”')）]*\s*$|\s*[\"“'][^\"“”\n]*[.。]\s*[\"”']\s*$",
    re.IGNORECASE,
)
# What goes wrong, is asked in the form of a statement or given to work on: a user who says it wants something.
UNSETTLED = re.compile(
    r"n't\b|\b(?:cannot|can not|does not|is not|nothing|(?:an?|the|this|with|throws?|gives?|wrong) (?:\w+ )?(?:error"
    r"|exception"
    r"|values?|mistakes?)|errors? (?:is|out)|fails?|failed|crash\w*|stuck|wrong|bug|broken|blank|unclear|hangs"
    r"|freezes|exits"
    r"|times? out|let's|too"
    r"|to be found|and you|my)\b"
    r"|_{2,}|[没无我你不这此谁哪几怎吗呢]|报错|错误|失败|崩溃|异常|多少|什么|代码|函数|程序|用户|页面",
    re.IGNORECASE,
)
TITLE = re.compile(r"[^\n]*[^.!。！…\n]")
"""One line that is no sentence."""
GREETS = re.compile(
    r"\s*(?:thank(?:s| you)|welcome (?:to|back)|nice to meet you|good (?:morning|evening)|bienvenue|willkommen"
    r"|bienvenid[oa]s?|benvenut[oi]|bem-vind[oa]s?|gracias|merci|danke|grazie|obrigad[oa]|спасибо|добро пожаловать"
    r"|谢谢|欢迎|ようこそ|환영)(?![a-z])[^.!?。！？\n]*[.!。！]?\s*$",
    re.IGNORECASE,
)
"""A greeting, or thanks, and nothing behind it."""
FENCE = re.compile(r"[ \t]*(?:```|~~~)")
CODE_LINE = re.compile(
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
    r"|\s*[\w.$\[\]\"'>-]+(?:, ?[\w.$\[\]]+)*\s*(?:[-+*/|&%]?=|:=|<-|=>)\s*\S.*"
    r"|\s*[\w.$:>-]+\(.*\)?[;,{]?\s*|.*[;{}]\s*"
    r"|\s*[)\]}>]+[,;)]*\s*|.*=>\s*[{(]?"
    r"|\s*</?[\w!-][^>]*>(?:.*>|[^.?!]*)\s*|\s*@\w+.*|\s*(?://|/\*|\*/|--|%%).*|\s*\*\s.*|\s*\"\"\".*|\s*'''.*"
    r"|\s*(?:for|while|until|if)\b.*; (?:do|then)\s*"
    r"|(?:FROM|RUN|COPY|CMD|ENTRYPOINT|WORKDIR|ENV|EXPOSE|ARG) \S.*"
    r"|\s*\$ .*|\s*[\"'\w.-]+\s*:\s*[\[{\"'\d].*)$"
)
# A leading comment that asks for the program below it; a note on what the next line does is none.
TASK = re.compile(
    r"\s*(?:\d+[.)] *)?(?:(?:your )?task:? |todo:? |problem:? )?(?:please |now )?(?:write|create|implement|generate"
    r"|design|develop|build|complete|given|define|make)\b(?:\W+\w+){5,}"
    r"|.*[?？]\s*$|.*(?:请|如何|怎么)|\s*(?:\d+[.、] *)?(?:[编]?写|实现|生成|创建|设计|定义|给定"
    r"|用\S{1,12}[写实])(?:\W*\w){8,}",
    re.IGNORECASE,
)
SAID = re.compile(r"\S.*[.:?)}\]] [A-Z][a-z]+(?: [\w'`,-]+)+[.?]$|(?:[\w'`]+[:,]? ){3,}[\w'`*-]+\?$")
"""A line that looks like code and is said all the same, as its end shows: "y = mx + b. Explain each symbol."."""
COMMENT = re.compile(
    r"^\s*(?://+|/\*+|#+(?!!|\s*(?:include|define|ifn?def|endif|pragma)\b)|--|\*|<!--|\"\"\"|''')\s*|\s*(?:\*/|-->"
    r"|\"\"\"|''')\s*$"
)
DESCRIBED = re.compile(
    rf"^\s*(?:\d+[.)]|[-*]) +(?:\*\*|`)(?!(?:{VERBS}|{IMPERATIVE})\b(?!-|:|\*\* ?:))[^\n]*$",
    re.MULTILINE | re.IGNORECASE,
)
"""An item of an article's list, with its name in front: "**Lists** keep …", "**Add**: …", and not "**Add** a list"."""
HEADING_LINE = re.compile(r"^#{1,6} .*$", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} \S|^\*\*[^*\n]+\*\*:?$", re.MULTILINE)
MIDDLE = re.compile(
    r"\s*(?:(?:B[.)] [^\n]*\n\s*C|C[.)] [^\n]*\n\s*D)[.)] |[,;，。；、）】？！：](?!\d)|[.)\]}?!:](?![.\w]|\s*\d)"
    r"|(?:secondly|thirdly|furthermore|moreover|additionally|therefore|thus|hence|and then),? |(?:其次|此外|因此|所以)"
    r"|(?:```|~~~)\s*(?:\n\s*)?[A-Z][a-z]+ )",
    re.IGNORECASE,
)
GOES_ON = re.compile(
    r"\s*(?:(?:\.{2,}|…|[-–—] |\d[.)] (?=Then|And|But)|\* )\s*)?(?:(?:and|but|or|because|whose|of the|(?:is|are|was"
    r"|were) (?:an?|the|called|used)"
    r"|to the|as well"
    r"|however,?|ing|ed|s|ly|tion|y|que (?!es\b|hace|son\b)\S+|pero|sino|del|et|qui|mais|car|dont|und|aber"
    r"|sowie"
    r"|weil|(?:die|der|das|den) (?:dann|anschließend|danach)|e|ma|perché|che|mas|porque|и|но|а|который|которая|которое"
    r"|которые"
    r"|чтобы|dass|sodass|por lo|lo que|ce qui|così che|o que|что) |(?:Finally|Afterwards|Subsequently|Then),? (?:the|it"
    r"|this|we)\b|It (?:then|also|finally) |Then the )"
    r"[\s\S]*[.。]\s*$|\s*(?:的(?!士|确)|并且?|然后|而且|从而|以及|を|が、?|という|に(?=[^ほ])|そして|しかし"
    r"|그리고|그러나|를 |을 )[\s\S]*[.。]\s*$"
)
"""A sentence without its beginning, or the last of several; one that asks for something is none."""
# An assistant that turns to the user: it wants the task, or offers more.
SOLICITS = re.compile(
    r"(?:please )?(?:provide|share|give|tell|describe|specify|send|paste|ask|let me know)\b[^.?!\n]{0,120}"
    r"\b(?:(?:you|i) (?:need|want|would like|'d like)\b[^.?!\n]{0,30}\b(?:help|assist\w*|solve)|(?:i|we) can (?:help"
    r"|assist)"
    r"|you(?:'re| are) (?:encountering|having|facing|getting|working with)|(?:how|what) (?:i|we) can (?:help|do"
    r"|assist))\b[^.?!\n]*[.?!]?"
    r"|(?:please (?:enter|type|state|share|provide|describe|send) (?:me )?your|what(?:'s| is) your) (?:question|request"
    r"|query|message)s?(?= *(?:[.?!,;]|$)| (?:or|and|so|below|here|now|today|first|for me)\b)[^.?!\n]*[.?!]?"
    r"|please (?:enter|type|state|share|provide|describe|send) [^.?!\n]{1,40}\byou (?:want|need|would like) (?:me"
    r"|us) to\b[^.?!\n]*[.?!]?"
    r"|(?:please )?(?:let me know|feel free)\b[^\n]*|(?:if you have|do you have) (?:any )?(?:other |more |further )?"
    r"(?:specific )?questions?(?= *(?:[?.,!]|or\b|about\b|for me\b|regarding\b|$))[^\n]*|would you like (?:me|to know"
    r"|help|another)\b[^\n]*"
    r"|(?:can|could|would) you (?:please )?(?:provide|share|give)(?: me)?(?: with)? (?:(?:some|a bit|any"
    r"|a few) )?(?:more"
    r"|additional|further) (?:details?|information|context)\b[^\n]*|please (?:provide|share|give) (?:me )?(?:(?:some"
    r"|any) )?"
    r"(?:more|additional|further) (?:details?|information|context)\b[^\n]*"
    r"|how (?:can|may) i (?:help|assist)\b[^\n]*|what (?:can i|would you like|do you need)\b[^.?!\n]*\b(?:help"
    r"|assist)[^\n]*"
    r"|(?:如果)?(?:你|您)有(?:任何|其他|什么)?(?:问题|疑问)[^\n]*|请(?:随时)?告诉我[^\n]*",
    re.IGNORECASE,
)
# A user who asks once more behind what may be an answer.
ASKS_AGAIN = re.compile(
    r"\b(?:can|could|would) (?:you|someone|anyone) (?:please )?(?:help|explain|provide|show|tell|write|suggest|give"
    r"|correct"
    r"|modify|identify|fix|improve|complete)\b|\bhow (?:can|do|should|could|would) i\b"
    r"|\bwhat (?:is wrong|am i|should i)\b|\bplease (?:help|explain|provide|correct|fix|write|complete|suggest"
    r"|implement)\b"
    r"|\bi (?:want|need|would like|'d like|get|keep|don't|cannot|can't|expect)\b"
    r"|请(?:帮|提供|解释|给|写)|(?:如何|怎么)[^。\n]*？",
    re.IGNORECASE,
)
# Said below what is given: it asks even where the text began like an answer ("Here is my function: …").
LAST_ORDER = re.compile(
    r"(?:now |then |so |first |also )?(?:find|fix|explain|correct|rewrite|refactor|improve|optimi[sz]e|debug|write"
    r"|describe"
    r"|convert|translate|modify|complete|implement|identify|simplify|summari[sz]e|document|review|analy[sz]e|extend"
    r"|answer)\b",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"(?:(?:[.!:;)\]}\"'`]|\n)\s+|[。！；]\s*)(?=\S)")
ORDERS_BELOW = re.compile(
    rf"(?:{IMPERATIVE}|(?:explica|explique|erkläre?|spiega|schreib(?:e|en sie)?|объясни)\b)", re.IGNORECASE
)
OF_ONESELF = re.compile(r"\b(?:i|my|me)\b", re.IGNORECASE)
