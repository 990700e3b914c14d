"""What models say of themselves and to a user, in a dozen languages: the patterns of `model_voice`."""

from __future__ import annotations

import re

from tiltyard_jobs.curation.request_patterns import CAN_BE_DONE, IMPERATIVE, MODELS, OPENING

# A refusal in other languages than English (`lint` has those). Who cannot answer his own mail asks for help.
_NOT_OF_MINE = (
    r"(?![^.?!。？！\n]*(?:\b(?:mis?|mon|ma|mes|mein(?:e[mnrs]?)?|meus?|minhas?|mi[oae]i?|мо[йяеёюи]\w{0,2}|nuestr\w+"
    r"|notre|unser\w*)\b|我的|私の|僕の|제 |내 ))"
)
_NOT_UNDERSTOOD = (
    r"(?:lo siento,? (?:pero )?)?no (?:entiendo|comprendo|entendí) (?:bien )?(?:tu|su) (?:pregunta|solicitud|consulta"
    r"|mensaje)|(?:(?:je suis )?désolée?,? (?:mais )?)?je ne comprends pas (?:bien )?(?:votre|ta) (?:question|demande)"
    r"|(?:(?:es )?tut mir leid,? (?:aber )?)?ich (?:verstehe|habe) (?:ihre|deine) (?:frage|anfrage) (?:leider )?nicht"
    r"|(?:mi dispiace,? (?:ma )?)?non (?:capisco|ho capito) la (?:tua|sua) (?:domanda|richiesta)"
    r"|(?:desculpe,? (?:mas )?)?não (?:entendi|entendo|compreendo) (?:a )?sua (?:pergunta|solicitação)"
    r"|(?:извините,? (?:но )?)?я не (?:понимаю|понял) ваш (?:вопрос|запрос)|(?:很?抱歉|对不起"
    r"|不好意思)?[，,]*(?:但)?我(?:没有?|不太?|无法)(?:明白|理解|懂)(?:您|你)的(?:问题|意思|请求)|(?:申し訳(?:あり"
    r"|ござい)ません(?:が)?|すみません(?:が)?)?[、。]*ご?質問(?:の意味|の意図|の内容)?[がを](?:よく)?(?:理解でき|わかり"
    r"|分かり)ません|(?:죄송(?:합니다|하지만))?[.,! ]*질문을 이해(?:하지 못|할 수 없)"
)
_AS_A_MODEL = (
    r"(?:als (?:ki|ki-(?:modell|sprachmodell|assistent)|(?:großes )?sprachmodell) (?:kann|bin|habe|darf)"
    r"|en tant (?:qu'ia|que (?:grand )?modèle de langage|qu'assistant ia),? je (?:ne|n')|com[oe] (?:un[ao]? "
    r"|uma? )?(?:modelo de (?:lenguaje|linguagem)|modello linguistico|ia),? (?:no|non|não|eu não)"
    r"|как (?:языковая модель|ии|искусственный интеллект),? я не)\b|作为(?:一个|一名)?(?:ai|人工智能|(?:ai"
    r"|大型)?语言模型)(?:助手|模型)?[，,]?我(?:无法|不能|没有|不会)"
)
REFUSES = re.compile(
    r"\s*(?:(?:(?:lo siento(?: mucho)?|lo lamento|perdón|perdona|disculp[ae]|me disculpo|desafortunadamente"
    r"|lamentablemente)[,.!]* (?:pero )?)?(?:(?:como [^,.\n]{1,40},? )?(?:yo )?no (?:puedo|podré|me es posible"
    r"|soy capaz de|estoy (?:programado|autorizado|diseñado)\w* para) (?:ayudar|asistir|responder|contestar"
    r"|proporcionar|ofrecer|cumplir|dar(?:te|le)|continuar con|participar|(?:generar|crear|escribir|hacer"
    r"|realizar)(?: es[oea]| est[eoa]| contenido| ese tipo))\w*)|(?:(?:je suis|je me)? ?(?:(?:vraiment "
    r"|sincèrement )?désolée?|navrée?)|désolée?|pardon|excusez-moi|malheureusement"
    r"|je m'excuse)[,.!]* (?:mais )?(?:[^,.\n]{1,40}, )?(?:je ne (?:peux|pourrai|suis) (?:pas"
    r"|malheureusement pas)(?: en mesure de?| capable de?| autorisé à)? ?(?:vous |t'|te |y |d')?(?:aider|assister"
    r"|répondre|fournir|traiter|satisfaire|donner|continuer|faire cela|(?:générer|créer|écrire) (?:ce|cette|cela"
    r"|du contenu)))"
    r"|je ne (?:peux|suis) pas (?:en mesure de? )?(?:vous|t'|te) ?(?:aider|assister|répondre)"
    r"|(?:(?:es )?tut mir (?:sehr )?leid|entschuldigung|entschuldige|leider|bedaure|verzeihung)[,.!]* (?:aber "
    r"|dass )?(?:[^,.\n]{0,30}(?:ich kann|kann ich|ich bin nicht|ich darf|darf ich)[^.\n]{0,60}?(?:nicht|kein\w*"
    r"|keine)\b[^.\n]{0,60}?(?:helfen|weiterhelfen|unterstützen|beantworten|antworten|bereitstellen|erfüllen|nachkommen"
    r"|behilflich|geben))|(?:dabei|damit|ich) kann (?:ich )?(?:ihnen |dir |dabei |damit "
    r"|leider )*nicht (?:weiter)?helfen|(?:(?:mi dispiace|mi spiace|mi scuso|sono spiacente|scusa(?:mi)?|spiacente"
    r"|purtroppo)[,.!]* (?:ma )?)?non (?:posso|sono in grado di|mi è possibile) (?:aiutar|assister|risponder|fornir"
    r"|soddisfar|offrir|(?:generar|crear|scriver|far)\w* (?:quest|ciò))\w*|(?:(?:desculp[ea]|sinto muito|lamento"
    r"|me desculpe|infelizmente|perdão)[,.!]* (?:mas )?)?(?:eu )?não (?:posso|consigo|poderei|sou capaz de"
    r"|estou (?:autorizado|apto) a) (?:te |lhe |o )?(?:ajudar|auxiliar|responder|fornecer|atender|oferecer|(?:gerar"
    r"|criar|escrever|fazer) (?:iss|ess|est|conteúdo))\w*|(?:(?:извините|простите|прошу прощения|к сожалению"
    r"|мне (?:очень )?жаль|сожалею)[,.!]* (?:но )?)?(?:я )?не (?:могу|смогу|в состоянии) (?:вам |тебе |с этим "
    r"|вам с этим )?(?:помочь|ответить|предоставить|выполнить|обсуждать|помогать)|(?:很|非常|十分|真的)?(?:抱歉|对不起"
    r"|對不起|不好意思|遗憾)[，,。！ ]*(?:但是?|不过)?[，, ]*(?:作为[^，。\n]{1,20}[，,])?我?(?:目前|暂时|现在"
    r"|恐怕)?(?:无法|不能|没有?办法|不可以|無法|没法|不会)(?:直接|为您|为你|帮您|帮你|给您|给你|向您|对此)*(?:回答"
    r"|帮助?|提供|满足|协助|完成|处理|执行|生成|讨论|给出|回應|回应|参与|继续|解答)"
    r"|(?:作为[^，。\n]{1,20}[，,])?我(?:无法|不能)(?:回答|帮助您|帮助你|协助|满足)(?:这|您|你|该|此|[，。]|$)"
    r"|(?:(?:大変|誠に)?申し訳(?:あり|ござい)ません(?:が|。|、)*|すみません(?:が|。|、)*|ごめんなさい(?:。|、)*"
    r"|残念ながら、?|恐れ入りますが、?)[^。？\n]{0,50}?(?:お手伝い|お答え|お応え|回答|対応|提供|お力|支援|サポート"
    r"|お助け|生成)[^。？\n]{0,20}?(?:でき(?:ません|ない|かね)|致しかね|いたしかね|しかね|になれません)"
    r"|(?:죄송(?:합니다|하지만|해요|스럽지만)|미안(?:합니다|하지만|해요)|유감(?:입니다|스럽지만)"
    r"|안타깝게도)[만,.! ]*[^.?\n]{0,50}?(?:도와|도움|답변|대답|제공|지원|응답|처리"
    r"|도울)[^.?\n]{0,15}?(?:수 ?(?:가 )?없|못|어렵|불가)|(?:lo |la )?(?:siento|lamento) (?:no|não) poder (?:ayudar"
    r"|ajudar|responder)\w*"
    rf"|{_NOT_UNDERSTOOD}|{_AS_A_MODEL})"
    rf"{_NOT_OF_MINE}",
    re.IGNORECASE,
)
# An assistant that greets and asks what it is to do, in other languages than English.
ASKS_TO_HELP = re.compile(
    r"\s*(?:(?:¡?hola|buenos días|buenas(?: tardes)?|bonjour|salut|bonsoir|hallo|guten (?:tag|morgen|abend)|h(?:i"
    r"|ello) there"
    r"|hi|hello"
    r"|hey|ciao|salve|buongiorno|olá|oi|bom dia|boa tarde|здравствуй(?:те)?|привет|добрый день|您好|你好|嗨|こんにちは"
    r"|はじめまして|안녕하세요|안녕)[ ,.!，。！、~]*)?(?:(?:claro|por supuesto|bien sûr|natürlich|gerne|certo|конечно"
    r"|当然|好的|もちろんです|물론입니다)[ ,.!，。！、]*)?(?:¿?(?:en|con) qué (?:te |le |os )?puedo (?:ayudar|asistir"
    r"|servir)(?:t?e|l[eo]s?|os)?\b|¿?cómo (?:te |le )?puedo (?:ayudar|asistir)(?:t?e|l[eo]s?|os)?(?= hoy| con| en|\?)"
    r"|(?:comment|en quoi) (?:puis-je|est-ce que je peux) (?:vous |t'|te )(?:aider|assister|être utile)"
    r"|que puis-je faire pour (?:vous|toi)|(?:wie|womit|wobei) (?:kann|darf) ich (?:ihnen|dir|euch) (?:heute |weiter"
    r"|be)*(?:helfen|hilflich)|was kann ich (?:heute )?für (?:sie|dich) tun|(?:come|in (?:che )?cosa"
    r"|in che modo) posso (?:aiutar(?:ti|la|vi)|esser(?:ti|le) utile|assister(?:ti|la))|(?:como|em que"
    r"|no que) (?:eu )?posso (?:te |lhe |o )?(?:ajud[aá](?:r|-l[oa]s?)|auxiliar)(?:-\w+)?(?: (?:você|hoje)|\?)|(?:чем"
    r"|как) (?:я )?(?:могу|можем) (?:(?:вам|тебе|быть) )?(?:сегодня )?(?:помочь|полез\w+)(?: (?:вам|тебе))?(?=[?\s]*$"
    r"| сегодня)|(?:请问)?(?:您|你)?(?:今天)?(?:有|需要)?(?:什么|哪些|啥)(?:问题|事情?|需要)?(?:是)?我?(?:可以"
    r"|能够?)?(?:为您|为你|帮您|帮你|帮助您|帮助你|帮到您|帮到你|帮忙|提供帮助)|(?:请问)?我(?:可以|能)(?:怎[么样样]"
    r"|如何)?(?:帮助?|为)(?:您|你)(?:做|解决|提供)?(?:些)?(?:什么|吗)?|(?:请问)?我?(?:怎[么样]|如何)(?:可以|能"
    r"|才能)?(?:帮助?|为)(?:您|你)|(?:何か|何を|どのように|どのような|どんな|どう)[^。？\n]{0,20}?(?:お手伝い"
    r"|お役に立て|お助け|サポート)(?:いた?し|でき|し|る)|(?:本日は、?)?(?:どのような)?ご(?:用件|質問)は?(?:何"
    r"|どのような)?(?:でしょうか|ですか)|(?:무엇을|어떻게|뭘|어떤 것을|무슨 일을)[^.?\n]{0,10}(?:도와 ?드릴|도와줄"
    r"|도울)|(?:i(?:'m| am) here to (?:help|assist)\b|let me (?:help|assist) you\b(?! understand my)"
    r"|(?:(?:yes|sure|of course|absolutely|thanks for reaching out)[,.!]* )?i can (?:certainly |definitely "
    r"|gladly )?help you"
    r" (?:with|write|find|create|solve|understand|fix|build)\b(?![^.?!\n]* if you)|what can i do for you\b|(?:sure|yes"
    r"|of course)[,.!]* please go ahead"
    r"|(?:te )?puedo ayudar(?:te|le"
    r"|los)? con\b"
    r"|je peux (?:vous |t')aider (?:avec|à)\b|ich helfe (?:ihnen|dir) (?:gerne?|dabei)|posso aiutar(?:ti|la) con\b"
    r"|posso ajud(?:ar|á-lo) (?:você )?com\b|я (?:могу|помогу) (?:вам|тебе) (?:помочь )?с\b|我可以帮助?(?:你|您)"
    r"|estoy aquí para ayudar|je suis (?:là|ici) pour (?:vous|t')|ich bin (?:hier|da),? um (?:ihnen|dir)"
    r"|sono qui per aiutar|estou aqui para (?:te |lhe )?ajud|я здесь, чтобы (?:вам )?помо)\w*|我(?:在这里|会尽力|很乐意"
    r"|很高兴|很高兴能)(?:帮助?|为|协助)(?:您|你)"
    r"|(?:wie|womit|wobei) kann ich helfen\s*\?|(?:请问)?(?:您|你)需要(?:什么|哪些|我的?)帮[助忙]"
    r"|喜んで(?:お手伝い|お答え)|기꺼이 도와)",
    re.IGNORECASE,
)
_A_GOOD = (
    r"(?:útil|amable|inteligente|virtual|de (?:programación|código|ia|inteligencia artificial|programação"
    r"|programmazione|programmation|code|codage)|utile|serviable|intelligent|virtuel|gentile|virtuale|prestativo"
    r"|amigável)"
)
ECHO = re.compile(
    r"\s*(?:below is an instruction that describes a task|a chat between a curious (?:user|human))\b|\s*(?:(?:system"
    r"|système"
    r"|sistema|система|系统|システム|시스템)(?: ?(?:prompt|message|提示))?\s*[:：]?\s+|(?:系统"
    r"|システム|시스템)(?:提示词?)?[:：]\s*)?(?:you are (?:qwen|chatgpt|claude|llama|gemma|deepseek|mistral"
    r"|(?:an? )?(?:helpful|useful|friendly|ai|programming|coding|code|intelligent)\b[^.\n]{0,40}\b(?:assistant|model"
    r"|ai))\b|(?:tu es|vous êtes|eres|usted es|du bist|sie sind|você é|tu és|sei|(?:ты|вы)(?: ?[—–-])?) (?:qwen|chatgpt"
    r"|claude|llama|gemma|deepseek|mistral)\b"
    rf"|(?:tu es|vous êtes|eres|usted es|du bist|sie sind|você é|tu és|sei) (?:un|une|una|ein|eine|um|uma) (?:(?:très"
    rf"|muy|sehr|molto|muito|ki|ia) )?(?:{_A_GOOD} )?(?:(?:assistante?|asistente|assistente?)(?: (?:et|y"
    rf"|e) \w+)?(?: (?:ia|ai|{_A_GOOD}))"
    r"|(?:hilfreicher|nützlicher|freundlicher|intelligenter|virtueller) (?:ki-|\w+ )?\w*assistent\b|(?:ki-?"
    r"|programmier)assistent\b)|(?:ты|вы)(?: ?[—–-])? (?:полезный|умный|дружелюбный|ии|ai"
    r"|виртуальный)[ -](?:\w+ )?(?:ассистент|помощник)|(?:你|您)是(?:一个|一名|一位)?(?:有用|有帮助|乐于助人|友好|智能"
    r"|专业|编程|ai|人工智能|得力)[^。，\n]{0,12}(?:助手|助理|模型)|(?:你|您)是(?:qwen|通义千问)"
    r"|あなたは[^。\n]{0,12}(?:役に立つ|役立つ|親切な|有能な|優秀な|便利な|有用な|ai"
    r"|プログラミング)[^。\n]{0,10}アシスタント(?:です|だ|である)|(?:당신은|너는) [^.\n]{0,12}(?:유용한|도움이 되는"
    r"|친절한|ai|인공지능|프로그래밍|코딩)[^.\n]{0,8}(?:어시스턴트"
    r"|도우미|비서|조수)(?:입니다|이다|야))",
    re.IGNORECASE,
)
# A whole text that tells a model what it is and how it is to speak, and asks for nothing.
ROLE_TOLD = re.compile(
    r"\s*(?:system(?: prompt)?:? )?(?:you(?:'re| are)|you will (?:act as|be)|act as|tu es|vous êtes|eres|usted es"
    r"|du bist|sie sind"
    r"|você é|tu és|sei|ты|вы)(?: ?[—–-])? (?:an? |un[ae]? |eine? |uma? )?[^.!?\n]{0,60}\b(?:assistante?|asistente"
    r"|assistente"
    r"|assistent|ассистент|помощник|language model|chatbot)\b[^.!?\n]*+[.!]?+(?:\s+(?:your? |answer (?:all|any|every"
    r"|the user"
    r"|questions|truthfully|concisely|briefly|only|with|in|as)|respond|reply|be |always"
    r"|never|help|follow|do not|don't|think)\b[^.!?\n]*+[.!]?+)*+\s*"
    r"|(?:あなたは|당신은 ?)(?:qwen|chatgpt|llama|gemma|deepseek|mistral)[^\n?？]*",
    re.IGNORECASE,
)
# How a model introduces itself in other languages. People have a model's name, follow one (je suis), research them or
# work as a virtual assistant: so the sentence ends behind the name, or goes on with who made it.
_KNOWN = r"(?:qwen|chatgpt|gpt|gemini|deepseek|mistral|llama)[\d.-]*"
_GREETS = r"(?:(?:¡?hola|bonjour|salut|hallo|guten tag|ciao|olá|oi|привет|здравствуйте)[ !,.]*)?"
_ENDS = r"(?=\s*(?:[,.!\n]|$)| (?:und|et|y|e|и|von)\b)"
_MADE = (
    r"(?:conçu|cré[ée]|développé|entraîné|cread|desarrollad|entrenad|diseñad|criad|desenvolvid|treinad|projetad|creat"
    r"|sviluppat|addestrat|progettat|entwickelt|trainiert|von\b)"
)
_A_MODEL = (
    rf"(?:(?:ein|eine|une?|una|uno|uma?) )?(?:(?:ki|ia|(?<!sono )ai)(?=\s*(?:[,.!\n]|$)| {_MADE})"
    r"|(?:(?:grand|großes|gran|grande) )?(?:modèle de langage|ki-\w*modell|sprachmodell|modelo de lenguaje"
    r"|modelo de linguagem|modello linguistico)\b(?!-)"
    rf"|(?:assistente virtuale?|virtueller assistent|asistente virtual|assistant virtuel|ki-assistent|assistant ia"
    rf"|(?:asistente|assistente) (?:de|di) (?:ia|inteligencia artificial|inteligência artificial))(?:,? {_MADE}|[.!]"
    r"|[,.!] ?(?:¿?en qué|como posso|come posso|comment puis-je|wie kann ich)))"
    r"|(?:eine|une|una|uma) (?:ki|ia) (?:und|et|y|e)\b"
    r"|(?:ein|une?|um|una|uma|un'|eine) ?(?:chatbot|inteligencia artificial|intelligence artificielle"
    r"|künstliche intelligenz"
    rf"|intelligenza artificiale|inteligência artificial)(?:{_ENDS}|(?=,? {_MADE}))"
)
INTRODUCTION = re.compile(
    rf"(?:^|[.!:\n]\s{{0,4}})(?:(?:hi|hello|hey)[!,.]* )?(?:i(?:'m| am)|my name is|this is) (?:{MODELS}"
    r"|an? (?:ai|large language|language|virtual|helpful|code|coding) (?:\w+ )?(?:model|assistant|ai)"
    r"|an? (?:ai )?chatbot)\b"
    r"|^\s*my (?:training data (?:goes|ends|only|includes|cuts|stops|does)|knowledge cutoff)\b"
    rf"|(?:^|[.!\n]\s{{0,4}}){_GREETS}(?:(?:je suis|ich bin|(?:yo )?soy|(?:eu )?sou|(?:io )?sono)"
    rf" (?:(?:[oaei]l? )?{_KNOWN}{_ENDS}|{_A_MODEL})"
    rf"|(?:me llamo|mi nombre es|je m'appelle|mein name ist|ich heiße|mi chiamo|(?:o )?meu nome é"
    rf"|меня зовут) (?:{_KNOWN}{_ENDS}"
    r"|(?:gemma|claude)\b[^.\n]{0,20}\b(?:créée? par|cread[oa] por|entwickelt|creat[oa] da|criad[oa] pel|создан"
    r"|entrenad[oa] por|entraînée? par|trainiert))"
    rf"|я(?: ?[—–-])? (?:{_KNOWN}{_ENDS}|(?:большая )?языковая модель\b(?!-)|(?:искусственный интеллект"
    rf"|ии-\w+){_ENDS}))"
    rf"|私は(?:[^。\n、]{{1,20}}(?:開発|作成|訓練)(?:した|された))?(?:(?:{_KNOWN}|(?:大規模)?言語モデル|人工知能"
    rf"|チャットボット"
    rf"|ai(?:アシスタント(?:の{_KNOWN})?)?)"
    rf"|{_KNOWN}(?:、|という)[^。\n]{{0,40}}(?:モデル|ai|アシスタント))(?:です|だ(?!け)|であ[りる]|なので)"
    rf"|저는 ?(?:[^.\n]{{1,20}}(?:개발한|만든|훈련한|훈련된|개발된) )?(?:(?:대규모 |인공지능 |ai )*(?:{_KNOWN}"
    rf"|언어 ?모델|인공지능|챗봇|ai|어시스턴트)"
    rf"|{_KNOWN}(?:이?라는|,)[^.\n]{{0,40}}(?:모델|ai|인공지능|어시스턴트))(?:입니다|이에요|예요|이[며고기지])"
    r"|(?:^|[.!\n]\s{0,4})i(?:'m| am) your (?:[\w-]+ ){0,3}assistant\b"
    r"|我(?:是|叫)(?:通义|千问|qwen|阿里|一个(?:人工智能|聊天机器人|ai|大型语言模型|语言模型))|由阿里(?:巴巴|云)"
    rf"|^\s*{MODELS} (?:is|was) (?:an?|the) (?:[\w-]+ ){{0,4}}(?:model|assistant|chatbot|ai)\b"
    rf"|^\s*(?:{MODELS}|assistant|ai)\s*[:：]",
    re.IGNORECASE,
)
MAKER = re.compile(
    r"[^.\n]{0,80}\b(?:created|developed|trained|made) by"
    r" (?:alibaba|openai|anthropic|google|meta|mistral|deepseek)\b[^.?!\n]*[.?!]?",
    re.IGNORECASE,
)
# A model that thinks, where a request should stand.
_THE_USER = (
    r"the user(?:'s (?:request|question|query|message|input)| (?:is|wants|needs|asked|asks|would|has|provided|seems"
    r"|might))\b|(?:el usuario|la usuaria) (?:\w+ )?(?:quiere|pide|está|pregunta|necesita|solicita|ha|busca|desea"
    r"|parece|me)\b|l'utilisat(?:eur|rice) (?:\w+ )?(?:veut|demande|souhaite|a|cherche|me|voudrait|semble|pose)\b"
    r"|(?:der|die) (?:be)?nutzer(?:in)? (?:möchte|will|fragt|bittet|hat|braucht|sucht|scheint|verlangt)\b"
    r"|l'utente (?:vuole|chiede|mi|ha|sta|desidera|cerca|sembra)\b|o (?:usuário|utilizador) (?:quer|pede|pediu|está"
    r"|precisa|deseja|pergunt\w+|quis|parece)\b|пользователь (?:хочет|просит|спрашивает|спросил|попросил|интересуется"
    r"|желает)\b|用户(?:想|希望|要求|问|让)"
)
_WELL = (
    r"(?:(?:okay|ok|alright|hmm+|well|so|right|first(?:ly)?|now|bien|bueno|vale|de acuerdo|entonces|primero|bon"
    r"|d'accord|alors|d'abord|also|gut|nun|zuerst|zunächst|in ordnung|allora|bene|va bene|prima|dunque|certo|então|bem"
    r"|primeiro|certo|итак|хорошо|ладно|сначала|так|好的?|嗯|那么|首先|现在|まず|さて|では|はい|ふむ|좋아|음|먼저|자"
    r"|우선)[,.:，。、… ]+)"
)
THOUGHT = re.compile(
    r"\s*(?:(?:okay|ok|alright|hmm+|well|so|right)[,.]* (?:so,? )?)?(?:the user (?:is asking|is trying|wants|asked|asks"
    r"|seems|says|gave|just)\b|(?P<muses>(?:let me|let's) (?:think|see|start by|break (?:this|it) down|analy[sz]e)\b))"
    r"|\s*(?:嗯，|好的，(?:用户|我需要|让我|我来)|首先，?用户)"
    rf"|\s*{_WELL}*(?:(?:i|we|let me|let's|il faut|je|debo|tengo|necesito|voy|ich|devo|ho|preciso|tenho|vou|мне|нужно"
    rf"|я)\b|muss ich\b|我|让我)"
    r"[^.?!。？！\n]{0,60}(?:understand|figure out|determine|identify|clarify|consider|entender|comprender|comprendre"
    r"|verstehen|herausfinden|capire|comprendere|compreender|понять|analizar|analyser"
    r"|analysieren|analizzare|analisar|проанализировать|理解|明白|弄清|搞清|确定"
    r"|分析)[^.?!。？！\n]{0,40}(?:\bthe user\b|usuario|utilisateur|(?:be)?nutzer|utente|usuário|пользовател|用户)"
    rf"|\s*{_WELL}+(?:{_THE_USER})|\s*(?P<tells>{_THE_USER})|\s*{_WELL}*(?:ユーザー"
    rf"|使用者)[はがの][^。\n]{{0,60}}(?:求め|尋ね|聞いて|知りた|望んで|質問し|たがって|意図|依頼し)(?:[^。\n]*。"
    rf"|[^。\n]*$)(?!.*(?:ください|ですか|設計|書いて))|\s*{_WELL}*사용자(?:가|는|의)[^.\n]{{0,60}}(?:원하|원한"
    rf"|요청(?:하|했)|물어|묻|질문(?:하|했)"
    rf"|알고 싶)(?!.*(?:세요|시오|주십|줘))",
    re.IGNORECASE,
)
OFFERS = re.compile(
    r"\bi(?:'ll| will) (?:do my best|handle it|be (?:happy|glad) to|try my best)\b"
    r"|\bi(?:'d| would) be (?:happy|glad) to (?:help|walk|assist|guide|explain)\b"
    rf"|(?<=\w)assistant\s*(?:{OPENING})",
    re.IGNORECASE,
)
_WRONG = (
    r"(?! (?:wrong|in(?:correct|exact|compl)|not |false|falsch|nicht|fau(?:x|sse)|pas |no |non |não |err|mal\b|sbagliat"
    r"|equivocad))"
)
# What is said of the user's text or to him, or to oneself about his task: it asks for nothing, unless it does below.
REPLIES = re.compile(
    r"\s*(?:(?:(?:correct |short |final )?answer|antwort|respuesta|réponse|resposta|risposta|ответ|答案|回答) ?[:：]"
    r"|i can (?:certainly |definitely |surely )?help (?:you )?with (?:that|this)\b|(?:the"
    r"|your) [\w ]{1,30}?(?:(?:that )?you"
    r" (?:provided|posted|shared|gave|wrote|have provided)|looks (?:good|correct|fine))\b|(?:in (?:summary|conclusion)"
    r"|to summarize|overall),|i(?:'m| am) glad you asked|it (?:seems|looks|appears) (?:like |that )+you(?:r|'re|'ve)?\b"
    r"|you(?:'re| are) (?:very )?welcome\b|thank you[!.] have a|¡?de nada[!.]|je vous en prie[.!]|gern geschehen"
    r"|prego[.!]"
    r"|不客气|どういたしまして|천만에요|(?:さらに|他に|ほかに)[^。\n]{0,20}お気軽に"
    r"|thank(?:s| you) for (?:reaching out|asking|your (?:question|message|interest))\b|gracias por (?:tu"
    r"|su) (?:pregunta|consulta)"
    r"|merci (?:pour|de) (?:votre|ta) (?:question|message)|danke für (?:deine|ihre) (?:frage|nachricht)"
    r"|grazie per la (?:tua|sua)"
    r"|obrigad[oa] pela (?:sua )?pergunta|спасибо за (?:ваш )?вопрос|感谢(?:您|你)的|ご質問ありがとう|질문해 주셔서"
    r"|i (?:understand your (?:concern|question|problem)|see what you mean)|it depends on (?:your|the)\b|good (?:catch"
    r"|point)[!.]"
    r"|(?:please )?note that (?:this|the)\b|make sure to replace `|i(?:'ve| have) (?:corrected|fixed|written|created"
    r"|updated|added"
    r"|modified) [^.?!\n]{1,40} for you\b|(?:once|after) (?:it is |that is )?\w+ed, you can\b|by (?:using|doing"
    r"|following) [^.?!\n]{1,60},"
    r" (?:you|we|it)\b|as an (?:expert|experienced) [^.?!\n]{1,40}, i (?:recommend|suggest|would (?!like|love"
    r"|appreciate))|i should (?:first"
    r"|start)\b"
    r"|(?:(?:the|a) (?:correct |right |final )?(?:answer|result) is\b|la (?:réponse|respuesta|risposta) (?:est|es|è)\b"
    rf"|a resposta é\b|die antwort (?:ist|lautet)\b){_WRONG}|ответ ?[:—]|(?:正确)?答案是(?!错|不)|答えは|정답은"
    r"|(?:i|we) hope (?:this|that|it) (?:helps|answers|clarifies)|unfortunately,? i (?:(?:can't|cannot|am (?:unable"
    r"|not able) to) (?:help|assist|provide|answer|run|execute|access|see|open|browse)|don't have (?:access|enough"
    r"|the ability)|am (?:an?|just|only) (?:ai|language))\b"
    r"|espero que (?:esto|isso|te|le) |j'espère que (?:cela|ça)|n'hésitez pas à|ich hoffe,? (?:das|dies|es)"
    r"|zögern sie nicht"
    r"|spero che (?:questo|ti|sia)|надеюсь,? (?:это|что)|希望(?:这|以上|对)|この(?:回答|情報)が|お役に立て|도움이 되"
    r"|(?:okay|ok|alright|hmm+|got it|wait|now)[,.!…]+ (?:so )?(?:(?:i|we) (?:(?:need|have) to|understand|should"
    r"|must|will (?!give|send|describe|show|paste|tell|ask|provide|now|write the|share))\b"
    r"|i'll\b"
    r"|the (?:problem|question|task|function|input)\b|the user\b|let me (?:think|see|start|analy[sz]e|break|consider"
    r"|check)\b|let's (?:think|see|start|analy[sz]e|break|consider|check)\b)"
    r"|so the (?:question|problem|task) is\b|thinking about the\b|user (?:asks for an?|wants me|wants us|says"
    r"|is asking)\b"
    r"|(?:i|we) (?:need|have) to [^.\n]{3,120}\. the user (?:wants|asks|asked|is (?:asking|probably)|gave|said|says"
    r"|provided|seems)\b"
    rf"|{CAN_BE_DONE.pattern})",
    re.IGNORECASE,
)
ORDERS_INSTEAD = re.compile(
    r"[ ,;]*(?:(?:but|and|now|so|then)[ ,]+)*(?:please )?(?:(?:make|keep|add|remove|change|turn|split|use) (?:it"
    r"|this|that|them)\b"
    r"|(?:fix|explain|correct|rewrite|refactor|improve|debug|write|describe|convert|translate|implement|identify"
    r"|simplify|summari[sz]e|compare|list)\b)",
    re.IGNORECASE,
)
"""An order of a user who said something of what he got first: "Your code looks good but make it shorter."."""
ORDERS_ELSEWHERE = re.compile(
    rf"[.!?:;\n]\s{{0,4}}{IMPERATIVE}|请(?!求)|(?:bitte|por favor|s'il (?:te|vous) plaît|per favore)\b", re.IGNORECASE
)
"""In other languages than English, an order behind a first sentence."""
