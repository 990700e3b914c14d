from pathlib import Path

import pytest

from support.mined_texts import DEVELOPED, FOLDER, HELD_OUT, labelled, measure, mined_under
from tiltyard_jobs.curation.lint import LintIssue, lint
from tiltyard_jobs.curation.mined import LONGEST, MOST_PLACES, clean

HONEST = [line.replace("\\n", "\n") for line in (FOLDER / "honest.txt").read_text().splitlines()]
PROGRAM = "def mean(xs):\n    total = sum(xs)\n    count = len(xs)\n    return total / count"
READS = "a, b = map(int, input().split())\nc = a + b\nif c > 0:\n    print(c)"
EXAMPLE = "Write a program that adds two numbers.\n\nInput: 1 2\nOutput: 3"

CUT = [
    ("Q: How do I sort a list?", "How do I sort a list?"),
    ("**Question 2:** Why does it fail?", "Why does it fail?"),
    ("Reverse a list in place. /no_think", "Reverse a list in place."),
    ("Name three colours in a list.\n\nCertainly! Below is a list.", "Name three colours in a list."),
    ("Sort the words of a text.AssistantSure, use sorted.", "Sort the words of a text."),
    ("How do I read a file?\n\nIn Python, you can use `open`:\n\n```python\nopen(x)\n```", "How do I read a file?"),
    ("什么是闭包？\n\n以下是一个例子：闭包是函数。", "什么是闭包？"),
    ("When does it rain?\nAnswer: Tomorrow.", "When does it rain?"),
    ("Which is right?\n\nA) one\nB) two\n\nB) two", "Which is right?\n\nA) one\nB) two"),
    ("Comment trier une liste ?\n\nJe suis désolé, mais je ne peux pas vous aider.", "Comment trier une liste ?"),
    ("列表怎么排序？\n\n很抱歉，我无法回答这个问题。", "列表怎么排序？"),
    ("Sort the list.\n\nHere's a simple solution:\n\nsorted(x)", "Sort the list."),
    ("Qwen: What does the word mean?", "What does the word mean?"),
    ("Q. Question: How does it work?", "How does it work?"),
    ("What is the capital of Egypt?\nA: Cairo", "What is the capital of Egypt?"),
    ("Which is it?\nA: one\nB: two\nC: three\nThe correct answer is B.", "Which is it?\nA: one\nB: two\nC: three"),
    ("Which is it?\nA. one\nB. two\nTo determine this, let's read.", "Which is it?\nA. one\nB. two"),
    (
        f"Write a function that takes the mean of a list.\n\n```python\n{PROGRAM}\n```",
        "Write a function that takes the mean of a list.",
    ),
    (
        f"# Write a function that returns the mean of a list of numbers\n{PROGRAM}",
        "# Write a function that returns the mean of a list of numbers",
    ),
    ("Is it possible to do both?\n\nNo, only one of them can be done at a time.", "Is it possible to do both?"),
    (
        "What is a closure?\n\nA closure is a function together with the variables that it uses from outside. They live"
        " as long as the function does, even where the block around it has ended.",
        "What is a closure?",
    ),
    ("Python 中如何读取文件？\n\n在 Python 中，你可以使用 open 函数来读取文件。", "Python 中如何读取文件？"),
    ("¿Cómo se ordena una lista?\n\nClaro, aquí tienes un ejemplo: sorted(x)", "¿Cómo se ordena una lista?"),
    ("Comment trier une liste ?\n\nBien sûr ! Voici un exemple : sorted(x)", "Comment trier une liste ?"),
    ("List three fruits.Assistant: Sure! Apples, pears and figs.", "List three fruits."),
    ("Q: What is the capital of Egypt? A: Cairo", "What is the capital of Egypt?"),
    ("리스트를 어떻게 정렬하나요?\n\n물론입니다! 예시는 다음과 같습니다: sorted(x)", "리스트를 어떻게 정렬하나요?"),
    ("リストを並べ替えるには？\n\nもちろんです！以下は例です：sorted(x)", "リストを並べ替えるには？"),
    ("Is zero even? Answer: Yes, as 0 = 2 * 0.", "Is zero even?"),
    ("Name a planet with rings.Response: Saturn has the widest ones.", "Name a planet with rings."),
    ("How do I sort a list? A: Use sorted.\nIt returns a new list.", "How do I sort a list?"),
    ("What does the text mean? Text: a b c\nAnswer: Letters.", "What does the text mean? Text: a b c"),
    ("Что такое список?Ответ: Набор значений.", "Что такое список?"),
    (
        "配列を並べ替える関数を書いてください。\n\n以下はコードです。\nsorted(x)",
        "配列を並べ替える関数を書いてください。",
    ),
    ("请用 Python 实现冒泡排序。\n\n以下是代码：\nsorted(x)", "请用 Python 实现冒泡排序。"),
    ("정렬하는 함수를 작성해 주세요.\n\n다음은 함수입니다.\nsorted(x)", "정렬하는 함수를 작성해 주세요."),
    ("リストとは何ですか？\n\n以下は簡単な例です。", "リストとは何ですか？"),
    ("Wie sortiere ich eine Liste?\nAntwort: Mit sorted.", "Wie sortiere ich eine Liste?"),
    ("Как отсортировать список?\n\nКонечно! Вот пример: sorted(x)", "Как отсортировать список?"),
]
BELOW_AN_EXAMPLE = [
    (f"{EXAMPLE}\n\n{PROGRAM}", EXAMPLE),
    (f"{EXAMPLE}\n\n```python\n{PROGRAM}\n```", EXAMPLE),
    (f"{EXAMPLE}\n\n{READS}", EXAMPLE),
    (f"{EXAMPLE}\n\nN = int(input())\nA = input().split()\ntotal = sum(A[:N])\nprint(total)", EXAMPLE),
    (f"{EXAMPLE}\n\ninput = sys.stdin.readline\nn = int(input())\nm = int(input())\nprint(n + m)", EXAMPLE),
    (
        f"Write a program that adds two numbers.\n\nExample:\nInput:\n1 2\nOutput:\n3\n\n{READS}",
        "Write a program that adds two numbers.\n\nExample:\nInput:\n1 2\nOutput:\n3",
    ),
    (
        f"Schreibe eine Funktion, die zwei Zahlen addiert.\n\nEingabe: 1 2\nAusgabe: 3\n\n{READS}",
        "Schreibe eine Funktion, die zwei Zahlen addiert.\n\nEingabe: 1 2\nAusgabe: 3",
    ),
    (
        f"编写一个程序，计算两数之和。\n\n输入：1 2\n输出：3\n\n{READS}",
        "编写一个程序，计算两数之和。\n\n输入：1 2\n输出：3",
    ),
]
PAIRED = [
    ("Q) What is the capital of Egypt? A) Cairo", "What is the capital of Egypt?"),
    ("Q) How do I sort a list?\nA) Use sorted.", "How do I sort a list?"),
    ("Q1) What is a closure?\nA1) A function with its variables.", "What is a closure?"),
    ("(Q) What is a closure?\n(A) A function with its variables.", "What is a closure?"),
    ("Question 1: What is a closure?\nAnswer 1: A function with its variables.", "What is a closure?"),
    ("Question 1: What is a closure? Answer 1: A function with its variables.", "What is a closure?"),
    ("Question 1) What is a closure?\nAnswer 1) A function with its variables.", "What is a closure?"),
    (
        "Question 1: What is a closure?\nAnswer 1: A function.\n\nQuestion 2: What is a loop?\nAnswer 2: A repetition.",
        "What is a closure?",
    ),
    ("Question #1: What is a closure?\nAnswer #1: A function.", "What is a closure?"),
    ("### Question\nWhat is a closure?\n\n### Answer\nA function with its variables.", "What is a closure?"),
    ("### Question\nWhat is a closure?\n### Answer\nA function with its variables.", "What is a closure?"),
    ("## Question 1\n\nWhat is a closure?\n\n## Answer 1\n\nA function.", "What is a closure?"),
    ("### Question:\nWhat is a closure?\n\n### Answer:\nA function.", "What is a closure?"),
    ("**Question**\n\nWhat is a closure?\n\n**Answer**\n\nA function.", "What is a closure?"),
    (
        "### Instruction\nWrite a function that reverses a string.\n\n### Response\ndef rev(s): return s[::-1]",
        "Write a function that reverses a string.",
    ),
    ("Frage 1: Was ist eine Schleife?\nAntwort 1: Eine Wiederholung.", "Was ist eine Schleife?"),
    ("Pregunta 1: ¿Qué es un bucle?\nRespuesta 1: Una repetición.", "¿Qué es un bucle?"),
    ("### Pregunta\n¿Qué es un bucle?\n\n### Respuesta\nUna repetición.", "¿Qué es un bucle?"),
    ("### Frage\nWas ist eine Schleife?\n\n### Antwort\nEine Wiederholung.", "Was ist eine Schleife?"),
    ("### Question\nQu'est-ce qu'une boucle ?\n\n### Réponse\nUne répétition.", "Qu'est-ce qu'une boucle ?"),
    ("Question 1 : Qu'est-ce qu'une boucle ?\nRéponse 1 : Une répétition.", "Qu'est-ce qu'une boucle ?"),
    ("Вопрос 1: Что такое цикл?\nОтвет 1: Повторение.", "Что такое цикл?"),
    ("### Вопрос\nЧто такое цикл?\n\n### Ответ\nПовторение.", "Что такое цикл?"),
    ("### 问题\n什么是闭包？\n\n### 回答\n闭包是函数。", "什么是闭包？"),
    ("问题1：什么是闭包？\n答案1：闭包是函数。", "什么是闭包？"),
    ("问：什么是闭包？\n答：闭包是函数。", "什么是闭包？"),
    ("問：閉包とは何ですか？\n答：関数です。", "閉包とは何ですか？"),
    ("### 質問\nリストとは何ですか？\n\n### 回答\n値の列です。", "リストとは何ですか？"),
    (
        "Write a function that adds two numbers.\n\nInput: 1 2\nOutput: 3\n\nAnswer: def add(a, b): return a + b",
        "Write a function that adds two numbers.\n\nInput: 1 2\nOutput: 3",
    ),
    (
        "Q: Write a function that adds two numbers. A: def add(a, b): return a + b",
        "Write a function that adds two numbers.",
    ),
    (
        "Write a program that adds two numbers.\n\nInput: 1 2\nOutput: 3\n\nHere is a solution:\n\nprint(a + b)",
        "Write a program that adds two numbers.\n\nInput: 1 2\nOutput: 3",
    ),
    (
        "Write a program that adds two numbers.\n\nInput: 1 2\nOutput: 3\n\nSolution:\nprint(a + b)",
        "Write a program that adds two numbers.\n\nInput: 1 2\nOutput: 3",
    ),
    (
        "编写一个程序，计算两数之和。\n\n输入：1 2\n输出：3\n\n答案：print(sum(map(int, input().split())))",
        "编写一个程序，计算两数之和。\n\n输入：1 2\n输出：3",
    ),
    ("Q1: What is the capital of Egypt?\nA1: Cairo", "What is the capital of Egypt?"),
    ("Question: What is the largest planet?\nAnswer: Jupiter", "What is the largest planet?"),
    ("Q) Name a planet with rings. A) Saturn", "Name a planet with rings."),
    ("What is 17 + 25?\nA: 42", "What is 17 + 25?"),
    ("What is 6 * 7? A: 42", "What is 6 * 7?"),
    ("When did the war end?\nA: 1945", "When did the war end?"),
    ("Which numbers are prime?\nA: (2, 3, 5)", "Which numbers are prime?"),
    ("How do I sort a list?\nA: [1,2,3].sort()", "How do I sort a list?"),
    ("17 加 25 等于多少？\nA：42", "17 加 25 等于多少？"),
    ("Q) Which gas is lightest?\n(A) helium\n(B) neon", "Which gas is lightest?\n(A) helium\n(B) neon"),
    ("Q) Which gas is lightest? (A) helium (B) neon", "Which gas is lightest? (A) helium (B) neon"),
    (
        "Q: For each input give the expected answer.\n\nInput: 2 3\nAnswer: 5\n\nInput: 4 4\nAnswer: 8",
        "For each input give the expected answer.\n\nInput: 2 3\nAnswer: 5\n\nInput: 4 4\nAnswer: 8",
    ),
    ("### Instruction\nSort the array in place.\n\nA: [3, 1, 2]", "Sort the array in place.\n\nA: [3, 1, 2]"),
    ("User: Sort the array in place.\n\nA: [3, 1, 2]", "Sort the array in place.\n\nA: [3, 1, 2]"),
    ("Q: Name a prime.\nA: 7", "Name a prime."),
    ("问题：列出一个质数。\nA：7", "列出一个质数。"),
    ("Which is larger?\nA: 3\nB: 4\nC: 5\nAnswer: C", "Which is larger?\nA: 3\nB: 4\nC: 5"),
    ("Q: Compute the current.\nV: 12\nR: 4", "Compute the current.\nV: 12\nR: 4"),
    ("Q: Compute the current.\nV: 12\nR: 4\nA: The current is 3.", "Compute the current.\nV: 12\nR: 4"),
]
SPOKEN_BY_A_MODEL = [
    "Lo siento, pero no puedo cumplir con esa solicitud.",
    "Lo siento, como asistente de IA no puedo hacer eso.",
    "Je suis désolé, mais en tant qu'IA, je ne peux pas répondre.",
    "Je suis désolé, mais je ne peux pas continuer cette conversation.",
    "Es tut mir leid, aber ich kann Ihnen bei dieser Anfrage nicht helfen.",
    "Entschuldigung, aber das kann ich nicht beantworten.",
    "Als KI-Modell kann ich diese Frage nicht beantworten.",
    "En tant que modèle de langage, je ne peux pas donner d'avis.",
    "Come modello linguistico non posso dare opinioni.",
    "对不起，作为一个AI语言模型，我无法提供个人意见。",
    "作为AI，我不能提供医疗建议。",
    "申し訳ありませんが、そのリクエストにはお応えできません。",
    "Ok, el usuario me pide que escriba un poema.",
    "The user is asking me to write a function.",
    "Let me think about what the user wants.",
    "Alright, the user wants me to sort a list.",
    "嗯，用户想知道如何排序。",
    "Vous êtes un assistant virtuel.",
    "Du bist ein KI-Assistent.",
    "Eres un asistente de IA.",
    "Tu es un assistant IA.",
    "Sei un assistente AI.",
    "あなたは親切なAIアシスタントです。",
    "¿En qué te puedo ayudar?",
    "Womit kann ich helfen?",
    "Wie kann ich helfen?",
    "Comment puis-je t'aider ?",
    "您好！请问您需要什么帮助？",
    "有什么我可以帮您的？",
    "Lo siento, pero no puedo ayudar con eso.",
    "Lo siento, no puedo ayudarte con esa solicitud.",
    "No puedo ayudarte con eso.",
    "Como modelo de lenguaje, no puedo proporcionar opiniones.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Je suis désolée, mais je ne peux pas répondre à cette question.",
    "Désolé, mais je ne peux pas vous aider avec cela.",
    "Es tut mir leid, aber dabei kann ich nicht helfen.",
    "Es tut mir leid, aber ich kann diese Frage nicht beantworten.",
    "Tut mir leid, dabei kann ich dir nicht helfen.",
    "Es tut mir leid, ich kann Ihnen dabei nicht weiterhelfen.",
    "Mi dispiace, ma non posso aiutarti con questo.",
    "Mi dispiace, non posso rispondere a questa domanda.",
    "Desculpe, mas não posso ajudar com isso.",
    "Sinto muito, mas não posso fornecer essa informação.",
    "Извините, но я не могу помочь с этим.",
    "К сожалению, я не могу ответить на этот вопрос.",
    "很抱歉，我无法回答这个问题。",
    "抱歉，我不能帮助你完成这个请求。",
    "对不起，我无法提供该信息。",
    "申し訳ありませんが、お手伝いできません。",
    "申し訳ございませんが、その質問にはお答えできません。",
    "すみませんが、その内容については対応できません。",
    "죄송합니다. 도와드릴 수 없습니다.",
    "죄송하지만 그 질문에는 답변할 수 없습니다.",
    "I'm sorry, but I can't help with that.",
    "I'm sorry, I don't understand your question. Could you provide more details?",
    "I'm sorry, but I don't understand what you are asking.",
    "I'm sorry, but I cannot generate that content.",
    "I'm sorry, I don't have access to your files.",
    "I apologize, but I am unable to do this.",
    "Sorry, I can't assist with that.",
    "Sorry for the confusion. The function returns the sum of the list.",
    "I'm sorry for the confusion. Here is the corrected function.",
    "I'm sorry, but I can't provide my opinion on this.",
    "Sure, here is a function that sorts a list.",
    "Sure, here's how I would do it: use sorted.",
    "Of course, I can help with that.",
    "¿En qué puedo ayudarte?",
    "¿Cómo puedo ayudarte hoy?",
    "¡Hola! ¿En qué puedo ayudarle?",
    "Comment puis-je vous aider ?",
    "Bonjour ! Comment puis-je vous aider aujourd'hui ?",
    "Bonjour, en quoi puis-je vous aider ?",
    "Wie kann ich Ihnen helfen?",
    "Hallo! Wie kann ich dir heute helfen?",
    "Womit kann ich Ihnen behilflich sein?",
    "Come posso aiutarti oggi?",
    "Ciao! In cosa posso aiutarti?",
    "Como posso ajudar você hoje?",
    "Olá! Em que posso ajudá-lo?",
    "Чем могу помочь?",
    "Здравствуйте! Чем я могу вам помочь?",
    "您好，我可以帮您什么？",
    "你好！有什么我可以帮助你的吗？",
    "您好，请问有什么可以帮您？",
    "我能为您做些什么？",
    "こんにちは！何かお手伝いできることはありますか？",
    "どのようなご用件でしょうか？",
    "안녕하세요! 무엇을 도와드릴까요?",
    "어떻게 도와드릴까요?",
    "Tu es un assistant utile.",
    "Vous êtes un assistant IA utile et poli.",
    "Tu es un assistant de programmation.",
    "Eres un asistente de programación. Ayudas a los usuarios a escribir código.",
    "Eres un asistente útil.",
    "Du bist ein hilfreicher Assistent.",
    "Sie sind ein hilfreicher KI-Assistent.",
    "Du bist ein Programmierassistent. Du beantwortest Fragen.",
    "Sei un assistente utile.",
    "Você é um assistente útil.",
    "Você é um assistente de programação.",
    "Ты полезный ассистент.",
    "Вы — полезный помощник.",
    "你是一个有用的助手。",
    "你是一个乐于助人的AI助手，请回答用户的问题。",
    "あなたは役に立つアシスタントです。",
    "당신은 유용한 어시스턴트입니다.",
    "System: You are a helpful assistant. Answer briefly.",
    "First, I need to understand what the user wants.",
    "I need to figure out what the user is asking for.",
    "So the user needs a function that sorts a list.",
    "Bien, el usuario quiere una función.",
    "El usuario quiere una función que ordene una lista.",
    "Primero, necesito entender lo que quiere el usuario.",
    "D'accord, l'utilisateur veut une fonction.",
    "L'utilisateur demande une fonction qui trie une liste.",
    "Je dois d'abord comprendre ce que l'utilisateur veut.",
    "Okay, der Nutzer möchte eine Funktion.",
    "Der Benutzer fragt nach einer Funktion.",
    "Zuerst muss ich verstehen, was der Benutzer will.",
    "Allora, l'utente vuole una funzione.",
    "Bem, o usuário quer uma função.",
    "Итак, пользователь хочет функцию.",
    "Пользователь просит написать функцию.",
    "首先，我需要理解用户的需求。",
    "用户想要一个排序函数。",
    "まず、ユーザーが何を求めているかを考えます。",
    "ユーザーは関数を求めています。",
    "사용자가 함수를 원하고 있습니다.",
    "먼저 사용자가 무엇을 원하는지 이해해야 합니다.",
    "I'm sorry for the confusion. The function returns a list.",
    "Lo siento, pero como modelo de lenguaje no puedo responder a esa pregunta.",
    "Je suis désolé, je ne suis pas en mesure de vous aider.",
    "Leider kann ich Ihnen dabei nicht helfen.",
    "Ich kann dir dabei leider nicht helfen.",
    "Ich kann Ihnen dabei nicht helfen.",
    "Mi scuso, ma non posso aiutarti.",
    "Desculpe, não consigo ajudar com essa solicitação.",
    "Простите, я не могу помочь вам.",
    "非常抱歉，我不能回答您的问题。",
    "作为一个人工智能，我无法回答这个问题。",
    "申し訳ありません。その質問には回答できません。",
    "죄송하지만 도움을 드릴 수 없습니다.",
    "Lamento no poder ayudarte con eso.",
    "Lo siento, no entiendo tu pregunta.",
    "Je ne comprends pas votre question.",
    "抱歉，我不明白您的问题。",
    "Je suis là pour vous aider.",
    "Estoy aquí para ayudarte con tus preguntas.",
    "Ich bin hier, um Ihnen zu helfen.",
    "我在这里帮助您。",
]
"""Refusals, offers of help, system prompts said back and thoughts, in ten languages."""

REFUSED = [
    ("import numpy as np\n\nprint(np.zeros(3))", LintIssue.NO_REQUEST),
    ("def f(x):\n    return x\n```\n\nThis code defines a function that returns its argument.", LintIssue.NO_REQUEST),
    ("# Sorting\n\nSorting puts things in order.\n\n## Kinds\n\nThere are many kinds.", LintIssue.NO_REQUEST),
    ("You are a helpful assistant. You answer questions.", LintIssue.ASSISTANT_VOICE),
    ("I am Qwen, a large language model created by Alibaba Cloud.", LintIssue.ASSISTANT_VOICE),
    ("Qwen: I'm sorry, but I can't assist with that.", LintIssue.ASSISTANT_VOICE),
    ("Phi: As an AI developed by Microsoft, I cannot do that.", LintIssue.ASSISTANT_VOICE),
    ("Je suis Qwen, un modèle de langage créé par Alibaba.", LintIssue.ASSISTANT_VOICE),
    ("Ich bin ein KI-Sprachmodell und kann keine Meinung haben.", LintIssue.ASSISTANT_VOICE),
    ("Soy un modelo de lenguaje y no tengo opiniones.", LintIssue.ASSISTANT_VOICE),
    ("Я — языковая модель и не имею мнения.", LintIssue.ASSISTANT_VOICE),
    ("私は大規模言語モデルです。質問にお答えします。", LintIssue.ASSISTANT_VOICE),
    ("저는 인공지능 언어 모델입니다. 의견이 없습니다.", LintIssue.ASSISTANT_VOICE),
    ("Je suis une IA et je n'ai pas d'opinions.", LintIssue.ASSISTANT_VOICE),
    ("Je suis un assistant virtuel conçu pour vous aider.", LintIssue.ASSISTANT_VOICE),
    ("Soy un asistente virtual. ¿En qué puedo ayudarte?", LintIssue.ASSISTANT_VOICE),
    ("Ich bin Qwen und wurde von Alibaba Cloud entwickelt.", LintIssue.ASSISTANT_VOICE),
    ("Ich bin eine KI, die Fragen beantwortet.", LintIssue.ASSISTANT_VOICE),
    ("Soy una IA creada por OpenAI.", LintIssue.ASSISTANT_VOICE),
    ("Sou um modelo de linguagem treinado por muitos textos.", LintIssue.ASSISTANT_VOICE),
    ("Sono un modello linguistico e non ho opinioni.", LintIssue.ASSISTANT_VOICE),
    ("Я — Qwen, языковая модель компании Alibaba.", LintIssue.ASSISTANT_VOICE),
    ("私はQwenです。質問にお答えします。", LintIssue.ASSISTANT_VOICE),
    ("私はAIアシスタントのQwenです。何でも聞いてください。", LintIssue.ASSISTANT_VOICE),
    ("私はQwenという大規模言語モデルです。", LintIssue.ASSISTANT_VOICE),
    ("저는 Qwen입니다. 무엇이든 물어보세요.", LintIssue.ASSISTANT_VOICE),
    ("저는 AI 어시스턴트입니다. 무엇을 도와드릴까요?", LintIssue.ASSISTANT_VOICE),
    ("저는 Qwen이라는 언어 모델이에요.", LintIssue.ASSISTANT_VOICE),
    ("and the rest of the function returns nothing.", LintIssue.FRAGMENT),
    (", and then the loop ends with a list of names.", LintIssue.FRAGMENT),
    ("，并且返回列表的长度和最大值。", LintIssue.FRAGMENT),
    ("Secondly, the list is sorted in place.", LintIssue.FRAGMENT),
    ("Qwen is a large language model by Alibaba Cloud that answers questions.", LintIssue.ASSISTANT_VOICE),
    ("Okay, the user wants a function that sorts a list.", LintIssue.ASSISTANT_VOICE),
    ("好的，用户想要一个排序函数，我先看看要求。", LintIssue.ASSISTANT_VOICE),
    ("Sure, go ahead! Please share the problem that you need help with.", LintIssue.NO_REQUEST),
    ("I'd be happy to help you. Please describe the task.", LintIssue.ASSISTANT_VOICE),
    ("Sort a list of names.</s>", LintIssue.TEMPLATE_LEAK),
    ("To solve this problem, we need to write a loop. It runs over all names.", LintIssue.NO_REQUEST),
    ("# 1. Overview\nIn this document, we will explore key-value stores.", LintIssue.NO_REQUEST),
    ("I'm sorry, but I didn't understand your request.", LintIssue.NO_REQUEST),
    ("I'm sorry, but I need more information to help you.", LintIssue.NO_REQUEST),
    ("Certainly! Here is the code that I wrote for you: sorted(x)", LintIssue.NO_REQUEST),
    ("system\nYou are a helpful assistant\nuser\nSort a list", LintIssue.TEMPLATE_LEAK),
    ("system\nYou are a helpful assistant.", LintIssue.TEMPLATE_LEAK),
    ("ISP expert in SQL Server", LintIssue.NO_REQUEST),
    ("Multi-language support", LintIssue.NO_REQUEST),
    ("Python list comprehension basics", LintIssue.NO_REQUEST),
    ("Claro, aquí tienes un ejemplo de una función.", LintIssue.NO_REQUEST),
    ("Bien sûr, voici une fonction qui trie une liste.", LintIssue.NO_REQUEST),
    ("Natürlich, hier ist eine Funktion.", LintIssue.NO_REQUEST),
    ("当然，以下是一个示例。", LintIssue.NO_REQUEST),
    ("Sure, here is my solution: sorted(x). It sorts the list.", LintIssue.NO_REQUEST),
    *((text, LintIssue.ASSISTANT_VOICE) for text in SPOKEN_BY_A_MODEL),
    ("这段代码定义了一个函数。\n\n```python\ndef f(): pass\n```", LintIssue.NO_REQUEST),
]


@pytest.mark.parametrize("text", HONEST)
def test_honest_requests_stay_as_they_are(text: str) -> None:
    assert clean(text).text == text
    assert lint(text) is None


@pytest.mark.parametrize(("text", "request_alone"), [*CUT, *BELOW_AN_EXAMPLE, *PAIRED])
def test_what_is_no_part_of_the_request_is_taken_off(text: str, request_alone: str) -> None:
    assert clean(text).text == request_alone
    assert clean(request_alone).text == request_alone
    assert lint(request_alone) is None


@pytest.mark.parametrize(("text", "issue"), REFUSED)
def test_what_asks_for_nothing_is_dropped(text: str, issue: LintIssue) -> None:
    assert lint(clean(text).text) is issue


@pytest.mark.parametrize("path", [DEVELOPED, HELD_OUT], ids=["developed on", "held out"])
def test_of_the_texts_of_real_models_requests_are_kept_and_others_are_not(path: Path) -> None:
    figures = measure(labelled(path))
    assert figures.right >= 0.95 * figures.kept
    assert figures.rightly_dropped >= 0.75 * figures.dropped
    assert figures.requests_kept >= 0.95 * figures.requests
    assert figures.requests_kept + figures.answers_kept >= 0.9 * (figures.requests + figures.answers)


@pytest.mark.parametrize(("path", "name"), [(DEVELOPED, "developed on"), (HELD_OUT, "held out")])
@pytest.mark.parametrize(("message", "word"), [(None, "all"), ("default", "default"), ("system", "coding")])
def test_the_figures_beside_the_texts_are_those_that_are_measured(
    path: Path, name: str, message: str | None, word: str
) -> None:
    rows = labelled(path)
    of = measure(mined_under(rows, message) if message else rows)
    row = (
        f"| {name} | {word} | {of.kept} | {of.right} ({100 * of.right / of.kept:.0f} %) | {of.dropped}"
        f" | {of.rightly_dropped} ({100 * of.rightly_dropped / of.dropped:.0f} %)"
        f" | {of.requests_kept} of {of.requests} | {of.answers_kept} of {of.answers} |"
    )
    assert row in (FOLDER / "README.md").read_text().splitlines()


def test_there_are_enough_of_them() -> None:
    assert sum(measure(labelled(path)).texts for path in (DEVELOPED, HELD_OUT)) >= 600


def test_a_long_text_of_anything_is_looked_through_in_time() -> None:
    for piece in (
        "?\n\nx ", "A: \n", "```\n", "to a ", "# write a\n", "\n\n", "? A: B", ".Answer: a, a",
        "Input: 1\nA: 2\n",
    ):  # fmt: skip
        clean(piece * 200_000)
        clean((piece * LONGEST)[:LONGEST])
        clean((piece * LONGEST)[: LONGEST - 6] + "\nA) x?")


def test_of_many_marks_some_are_taken_off() -> None:
    assert clean("Q: " * (MOST_PLACES + 3) + "Why?").text == "Q: " * 3 + "Why?"
