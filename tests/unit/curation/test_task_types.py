import pytest

from tiltyard_jobs.curation.task_types import TaskType, task_type, task_type_shares

EXAMPLES = {
    TaskType.GENERATION: [
        "Write a Python function that returns the n-th Fibonacci number.",
        "Create a REST API in Go with endpoints to add and list users.",
        "Given an array of integers, return the indices of the two numbers that add up to a target.",
        "Convert this Java method to Python:\n\nint f(int x) { return x * 2; }",
        "How can I read a CSV file in R and plot the second column?",
        "Design an efficient algorithm to find the k-th largest element of a stream and implement it in C++.",
    ],
    TaskType.DEBUGGING: [
        "Fix the bug in this code: for i in range(len(a)): a[i+1] = 0",
        "My program throws a NullPointerException when I call getName(). What is wrong?",
        "I get the following error when I run my script: TypeError: unsupported operand",
        "Why does this function return undefined? function f() { return\n 1; }",
        "The following JavaScript code does not work. Find the mistake.",
    ],
    TaskType.OPTIMISATION: [
        "Optimize the following SQL query so that it uses an index.",
        "Refactor this class to use dependency injection.",
        "Make this loop faster: for x in xs: ys.append(x * 2)",
        "Improve the readability of the code below.",
    ],
    TaskType.TESTING: [
        "Write unit tests for a function that validates email addresses using pytest.",
        "Create test cases for the following Stack class.",
        "Generate integration tests that cover the login endpoint.",
    ],
    TaskType.EXPLANATION: [
        "Explain what the following code does:\n\nprint(*map(int, input().split()))",
        "What does this function do? def f(x): return x & -x",
        "What will the output of this program be?",
        "Describe how this regular expression works line by line.",
    ],
    TaskType.THEORY: [
        "What is the difference between a process and a thread?",
        "Explain the concept of dependency injection.",
        "What are the advantages of functional programming?",
        "How does garbage collection work in the JVM?",
        "What is the time complexity of binary search?",
    ],
    TaskType.OTHER: ["Hello there, my friend.", "", "The weather in Paris in May."],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in EXAMPLES.items() for text in texts])
def test_examples(kind: TaskType, text: str) -> None:
    assert task_type(text) is kind


def test_shares_name_all_seven_types() -> None:
    shares = task_type_shares([EXAMPLES[TaskType.TESTING][0], EXAMPLES[TaskType.THEORY][0], "", ""])
    assert list(shares) == list(TaskType)
    assert len(shares) == 7
    assert (shares[TaskType.TESTING], shares[TaskType.THEORY], shares[TaskType.OTHER]) == (0.25, 0.25, 0.5)
    assert set(task_type_shares([]).values()) == {0.0}


def test_hostile_text_costs_little() -> None:
    assert task_type("write " * 200_000) is TaskType.GENERATION
    assert task_type("why " + "e" * 1_000_000) is TaskType.OTHER
