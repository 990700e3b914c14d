from pathlib import Path

import pytest

from support.mined_texts import DEVELOPED, FOLDER, HELD_OUT, labelled, measure, mined_under
from tiltyard_jobs.curation.lint import lint
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
"""Refusals, offers of help, system prompts said back and thoughts, in ten languages."""


CUT_IN_MANY_LANGUAGES = [
    (
        "How do I install numpy?\n\nTo install numpy, run the following command:\n\npip install numpy",
        "How do I install numpy?",
    ),
    (
        "Why is the sky blue?\n\nThe sky looks blue because air scatters blue light more than red light.",
        "Why is the sky blue?",
    ),
    (
        "¿Cómo abro un archivo en Python?\n\nPuedes usar la función open de esta manera:\n\nopen('a.txt')",
        "¿Cómo abro un archivo en Python?",
    ),
    (
        "Comment lire un fichier en Python ?\n\nVous pouvez utiliser la fonction open :\n\nopen('a.txt')",
        "Comment lire un fichier en Python ?",
    ),
    (
        "Wie lese ich eine Datei in Python?\n\nDu kannst dafür die Funktion open verwenden:\n\nopen('a.txt')",
        "Wie lese ich eine Datei in Python?",
    ),
    (
        "Come si apre un file in Python?\n\nPuoi usare la funzione open:\n\nopen('a.txt')",
        "Come si apre un file in Python?",
    ),
    (
        "Como abrir um arquivo em Python?\n\nVocê pode usar a função open:\n\nopen('a.txt')",
        "Como abrir um arquivo em Python?",
    ),
    (
        "Как открыть файл в Python?\n\nВы можете использовать функцию open:\n\nopen('a.txt')",
        "Как открыть файл в Python?",
    ),
    ("如何在 Python 中打开文件？\n\n可以使用 open 函数：\n\nopen('a.txt')", "如何在 Python 中打开文件？"),
    ("Sort this list: 3, 1, 2\n\nThe sorted list is: 1, 2, 3", "Sort this list: 3, 1, 2"),
    (
        "How do I center a div?\n\nUse flexbox:\n\n```css\n.parent { display: flex; justify-content: center; }\n```",
        "How do I center a div?",
    ),
    ("Q. How do I exit vim?\nA. Type :q!", "How do I exit vim?"),
    ("Student: Why is ice lighter than water?\nTeacher: Because it expands.", "Why is ice lighter than water?"),
    ("Customer: Where is my parcel?\nAgent: It will arrive tomorrow.", "Where is my parcel?"),
    ("Prompt: Write a haiku about tea.\nCompletion: Steam curls from the cup", "Write a haiku about tea."),
    ("P: ¿Cuál es la capital de Perú?\nR: Lima.", "¿Cuál es la capital de Perú?"),
    ("Usuario: ¿Cuál es la capital de Perú?\nAsistente: Lima.", "¿Cuál es la capital de Perú?"),
    ("Q : Quelle est la capitale du Pérou ?\nR : Lima.", "Quelle est la capitale du Pérou ?"),
    ("F: Was ist die Hauptstadt von Peru?\nA: Lima.", "Was ist die Hauptstadt von Peru?"),
    ("Benutzer: Was ist die Hauptstadt von Peru?\nAssistent: Lima.", "Was ist die Hauptstadt von Peru?"),
    ("Nutzer: Was ist die Hauptstadt von Peru?\nAssistent: Lima.", "Was ist die Hauptstadt von Peru?"),
    ("Utente: Qual è la capitale del Perù?\nAssistente: Lima.", "Qual è la capitale del Perù?"),
    ("Пользователь: Какая столица Перу?\nАссистент: Лима.", "Какая столица Перу?"),
    ("ユーザー：ペルーの首都はどこですか？\nアシスタント：リマです。", "ペルーの首都はどこですか？"),
    ("사용자: 페루의 수도는 어디인가요?\n어시스턴트: 리마입니다.", "페루의 수도는 어디인가요?"),
    ("How do I sort a list?\nuser\nAnd a dictionary?", "How do I sort a list?"),
    ("How do I sort a list?\nsystem\nYou are a helpful assistant.", "How do I sort a list?"),
    (
        "Write a function that adds two numbers.\n\nuser\n\nWrite a function that subtracts them.",
        "Write a function that adds two numbers.",
    ),
    ("Write a function that adds two numbers.\nmodel\nSure.", "Write a function that adds two numbers."),
    ("Sort the list in place.assistant", "Sort the list in place."),
    ("Sort the list in place. assistant\nSure", "Sort the list in place."),
    ("Sort the list in place.assistantuser", "Sort the list in place."),
    ("列表怎么排序？/no_think", "列表怎么排序？"),
    ("Wie sortiere ich eine Liste?/no_think", "Wie sortiere ich eine Liste?"),
    ("What is polymorphism?\n\nPolymorphism is the ability of objects to take many forms.", "What is polymorphism?"),
    ("What does DNS mean?\n\nDNS stands for Domain Name System.", "What does DNS mean?"),
    ("What is an API?\n\nAn API is an interface between two programs.", "What is an API?"),
    (
        "Explain binary search.\n\nBinary search is an algorithm that halves the interval in each step.",
        "Explain binary search.",
    ),
    (
        "Qu'est-ce que la récursivité ?\n\nLa récursivité est une technique où une fonction s'appelle elle-même.",
        "Qu'est-ce que la récursivité ?",
    ),
    (
        "¿Qué es la recursión?\n\nLa recursión es una técnica en la que una función se llama a sí misma.",
        "¿Qué es la recursión?",
    ),
    ("Was bedeutet SQL?\n\nSQL ist eine Abfragesprache für relationale Datenbanken.", "Was bedeutet SQL?"),
    (
        "Cos'è una coda?\n\nUna coda è una struttura dati in cui il primo elemento entra ed esce per primo.",
        "Cos'è una coda?",
    ),
    (
        "O que é uma fila?\n\nUma fila é uma estrutura em que o primeiro a entrar é o primeiro a sair.",
        "O que é uma fila?",
    ),
    ("什么是递归？\n\n递归是指函数调用自身。", "什么是递归？"),
    ("再帰とは何ですか？\n\n再帰とは、関数が自分自身を呼び出すことです。", "再帰とは何ですか？"),
    ("재귀란 무엇인가요?\n\n재귀는 함수가 자기 자신을 호출하는 것입니다.", "재귀란 무엇인가요?"),
    (
        "How do I check the Python version?\n\nRun the following command:\n\npython --version",
        "How do I check the Python version?",
    ),
    ("How do I stop a container?\n\nUse this command:\n\ndocker stop NAME", "How do I stop a container?"),
    (
        "Write a function that squares a number.\n\ndef square(x):\n    return x ** 2",
        "Write a function that squares a number.",
    ),
    (
        "Create a table of users in SQL.\n\n```sql\nCREATE TABLE users (id INT, name TEXT);\n```",
        "Create a table of users in SQL.",
    ),
    ("Reverse the list.\n\nuser\n\nAlso sort it.", "Reverse the list."),
    ("Reverse the list.\nsystem\nYou are helpful.", "Reverse the list."),
    ("How are maps made in Go?\nmodel\nUse make.", "How are maps made in Go?"),
    ("7是质数吗？\n\n是的，7是质数。", "7是质数吗？"),
    ("(Question): What is a heap?", "What is a heap?"),
    ("Who signed the law?\nA. The president did.", "Who signed the law?"),
    ("Is it true?\nA: no\nB: yes\nShort answer: A", "Is it true?\nA: no\nB: yes"),
    ("The value of f(3) is:\nA. 7\nB. 8\nTo solve for f(3), we compute.", "The value of f(3) is:\nA. 7\nB. 8"),
    ("The value of f(3) is:\nA. 7\nB. 8\nAnswer: B", "The value of f(3) is:\nA. 7\nB. 8"),
    (
        "Which is it?\n\nA) one\n\nB) two\n\nTo determine the correct answer, consider what was said.",
        "Which is it?\n\nA) one\n\nB) two",
    ),
    (
        f"Could you provide a code snippet that sums a list in the correct order?\n```python\n{PROGRAM}\n```",
        "Could you provide a code snippet that sums a list in the correct order?",
    ),
    ("P: ¿Cuánto son dos más dos?\nR: 4", "¿Cuánto son dos más dos?"),
    (
        "# Why does the number of people in a city vary with their income?\n"
        "The number of people in a city varies with it.",
        "# Why does the number of people in a city vary with their income?",
    ),
    (
        "Your task is to write a function that finds the largest number. Here's how you can do it:\n\nmax(numbers)",
        "Your task is to write a function that finds the largest number.",
    ),
    ("Is 7 prime?\nYes", "Is 7 prime?"),
    ("How do I sort my list?\n\nYou can use the sorted function:\n\nsorted(x)", "How do I sort my list?"),
    (
        "def f(x):\n    return x\n\nWhat does this code do?\n\nThis code returns x.",
        "def f(x):\n    return x\n\nWhat does this code do?",
    ),
    ("Why is the sky blue?\nBecause air scatters blue light.", "Why is the sky blue?"),
    ("How do I reverse a list?\nYou can use the reverse() method.", "How do I reverse a list?"),
    ("What is AI? AI is the simulation of intelligence by machines.", "What is AI?"),
    ("什么是人工智能？人工智能是计算机科学的一个分支。", "什么是人工智能？"),
    ("What is the capital of Peru? The capital of Peru is Lima.", "What is the capital of Peru?"),
    ("Name three colours.\n1. Red\n2. Blue\n3. Green", "Name three colours."),
    ("What are the three laws of motion?\n\n- inertia\n- force\n- reaction", "What are the three laws of motion?"),
    ("What is 2 + 2?\nExplanation: both are added.", "What is 2 + 2?"),
    ("创建一个脚本来读取天气。以下是一个示例脚本：\n\nprint(1)", "创建一个脚本来读取天气。"),
    (
        f"# 请编写一个函数，计算列表的平均值。\n\n{PROGRAM}\n```\n\n这个函数返回平均值。",
        "# 请编写一个函数，计算列表的平均值。",
    ),
    (
        "# 如何遍历文件夹中的所有文件？\n\n在 Python 中，`listdir()` 函数用于遍历文件夹中的所有文件。"
        "以下是一个示例代码，展示了如何使用它。\n\nprint(1)",
        "# 如何遍历文件夹中的所有文件？",
    ),
]
"""Introductions, system prompts, thoughts, answers and pieces of texts."""


@pytest.mark.parametrize("text", HONEST)
def test_honest_requests_stay_as_they_are(text: str) -> None:
    assert clean(text).text == text
    assert lint(text) is None


@pytest.mark.parametrize(("text", "request_alone"), [*CUT, *BELOW_AN_EXAMPLE, *PAIRED, *CUT_IN_MANY_LANGUAGES])
def test_what_is_no_part_of_the_request_is_taken_off(text: str, request_alone: str) -> None:
    assert clean(text).text == request_alone
    assert clean(request_alone).text == request_alone
    assert lint(request_alone) is None


@pytest.mark.parametrize(("path", "least"), [(DEVELOPED, 0.95), (HELD_OUT, 0.88)], ids=["developed on", "held out"])
def test_of_the_texts_of_real_models_requests_are_kept_and_others_are_not(path: Path, least: float) -> None:
    figures = measure(labelled(path))
    assert figures.right >= least * figures.kept
    assert figures.rightly_dropped >= 0.75 * figures.dropped
    assert figures.requests_kept >= 0.95 * figures.requests
    assert figures.requests_kept + figures.answers_kept >= 0.9 * (figures.requests + figures.answers)


@pytest.mark.parametrize("message", ["default", "system"])
def test_so_it_is_under_each_system_message(message: str) -> None:
    figures = measure(mined_under(labelled(DEVELOPED), message))
    assert figures.right >= 0.95 * figures.kept


@pytest.mark.parametrize(
    ("path", "name", "message", "word"),
    [
        (DEVELOPED, "developed on", None, "all"), (DEVELOPED, "developed on", "default", "default"),
        (DEVELOPED, "developed on", "system", "coding"), (HELD_OUT, "held out", "system", "coding"),
    ],
)  # fmt: skip
def test_the_figures_beside_the_texts_are_those_that_are_measured(
    path: Path, name: str, message: str | None, word: str
) -> None:
    rows = labelled(path)
    of = measure(mined_under(rows, message) if message else rows)
    row = (
        f"| {name} | {word} | {of.kept} | {of.right} ({100 * of.right / of.kept:.0f}%) | {of.dropped}"
        f" | {of.rightly_dropped} ({100 * of.rightly_dropped / of.dropped:.0f}%)"
        f" | {of.requests_kept} of {of.requests} | {of.answers_kept} of {of.answers} |"
    )
    assert row in (FOLDER / "README.md").read_text().splitlines()


def test_there_are_enough_of_them() -> None:
    assert sum(measure(labelled(path)).texts for path in (DEVELOPED, HELD_OUT)) >= 1_100


def test_a_long_text_of_anything_is_looked_through_in_time() -> None:
    for piece in (
        "?\n\nx ", "A: \n", "```\n", "to a ", "# write a\n", "\n\n", "? A: B", ".Answer: a, a",
        "Input: 1\nA: 2\n", "# a\n", "What a:\n", "以下是一个", "是", "____ ", "?\nA b.\n",
        "the function?\nThis function\nimport a\n\n", "List 3 a.\n- a\n",
    ):  # fmt: skip
        clean(piece * 200_000)
        lint((piece * LONGEST)[:LONGEST])
        clean((piece * LONGEST)[:LONGEST])
        clean((piece * LONGEST)[: LONGEST - 6] + "\nA) x?")
    for first in ("explain this ", "explain a ", "List 3 ", "What is the function ", "# 1. **Add** "):
        clean((first + "a " * 4_000 + "\na" * LONGEST)[:LONGEST])


def test_of_many_marks_some_are_taken_off() -> None:
    assert clean("Q: " * (MOST_PLACES + 3) + "Why?").text == "Q: " * 3 + "Why?"
