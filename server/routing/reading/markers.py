# ruff: noqa: RUF001 - signs of mathematics are meant
"""What gives away source code, its language, and mathematics: pieces of text and their weights.

They are looked for in lower case. A weight of 2 says enough by itself, 1 needs company.
"""

from collections.abc import Mapping

# Of source code itself, by language.
CODE: Mapping[str, Mapping[str, int]] = {
    "python": {
        "```py": 2, "in python": 2, "python function": 2, "python": 1, "def ": 1, "):\n": 1,
        "elif ": 1, "print(": 1, "self.": 1, "__init__": 2, "import ": 1, "in range(": 2,
        "lambda ": 1, "from typing import": 2, ">>> ": 1, "list[": 1, "none\n": 1, "pandas": 1,
        "numpy": 1,
    },
    "javascript": {
        "```js": 2, "```javascript": 2, "javascript": 2, "console.log": 2, "const ": 1, " => ": 1,
        "===": 1, "function(": 1, "function (": 1, "let ": 1, "require('": 2, "document.": 1,
        "async function": 2, "node.js": 2,
    },
    "typescript": {
        "```ts": 2, "```typescript": 2, "typescript": 2, ": string": 2, ": number": 2,
        ": boolean": 2, "interface ": 1, "export type": 2,
    },
    "java": {
        "```java\n": 2, "in java": 2, "java ": 1, "public class": 2, "public static": 2,
        "system.out": 2, "string[]": 1, "import java": 2, "@override": 2, "private final": 2,
    },
    "c": {
        "```c\n": 2, "#include <std": 2, "int main(": 1, "printf(": 1, "malloc(": 2, "char *": 1,
        "sizeof(": 1, "in c ": 1, "c program": 2,
    },
    "cpp": {
        "```cpp": 2, "```c++": 2, "c++": 2, "std::": 2, "cout <<": 2, "#include <iostream": 2,
        "template<": 1, "template <": 1, "vector<": 2,
    },
    "csharp": {
        "```cs": 2, "```c#": 2, "c#": 2, "using system": 2, "console.writeline": 2,
        "namespace ": 1, "public void": 1, "async task": 2,
    },
    "go": {
        "```go": 2, "golang": 2, "package main": 2, "func ": 1, ":= ": 1, "fmt.": 1,
        "if err != nil": 2,
    },
    "rust": {
        "```rust": 2, "in rust": 2, "let mut ": 2, "println!": 2, "fn ": 1, "impl ": 1,
        "&str": 1, "::new(": 1, "-> result": 1,
    },
    "php": {"```php": 2, "<?php": 2, "$this->": 2, "in php": 2, "php ": 1, "echo $": 1},
    "ruby": {
        "```ruby": 2, "in ruby": 2, "puts ": 1, "\nend": 1, "require '": 1, ".each do": 2,
        " do |": 1, "def ": 1,
    },
    "sql": {
        "```sql": 2, "sql": 2, "select * from": 2, "insert into ": 1, "create table": 2,
        "group by ": 1, "order by ": 1, "inner join": 2, "left join": 2,
        "delete from": 1,
    },
    "shell": {
        "```bash": 2, "```sh": 2, "#!/bin/": 2, "bash script": 2, "shell script": 2, "sudo ": 1,
        "apt-get": 1, "| grep": 2, "chmod ": 1, "curl -": 1,
    },
    "html": {
        "```html": 2, "<html": 2, "<div": 2, "<!doctype": 2, "</": 1, "href=": 1, "<body": 2,
        "css": 1,
    },
}  # fmt: skip

# Of code whose language is not said, and of requests for code.
ANY_CODE: Mapping[str, int] = {
    "```": 1, " null": 1, "write a function": 2, "function": 1, "funktion": 1, "fonction": 1,
    "función": 1, "funzione": 1, "função": 1, "функци": 1, "程序": 1, "函数": 1, "代码": 1,
    "コード": 1, "関数": 1, "함수": 1, " code ": 1, "write code": 2, "write a program": 2,
    "write a script": 2, "source code": 1, "this code": 2, "following code": 2,
    "code snippet": 2, "stack trace": 2, "traceback (most recent": 2, "regex": 2,
    "regular expression": 2, "unit test": 2, "refactor": 1, "pull request": 1, "compile": 1,
    "();": 2, ");\n": 1, ";\n": 1, " {\n": 1, " = {": 1, "  return ": 1, "\treturn ": 1,
    "!= ": 1, " == ": 1, "debug": 1, "api endpoint": 2, "leetcode": 2, "time complexity": 1,
    "class solution": 2,
}  # fmt: skip

MATHEMATICS: Mapping[str, int] = {
    "\\frac": 2, "\\sqrt": 2, "\\int": 2, "\\sum": 2, "\\begin{": 2, "\\cdot": 2, "\\left": 1,
    "\\angle": 2, "\\pi": 2, "\\[": 2, "^2": 1, "^{": 2, "^3": 1, "^n": 1, "√": 2, "∫": 2,
    "∑": 2, "π": 1, "≤": 1, "≥": 1, "×": 1, "²": 1, "equation": 1, "derivative": 1,
    "integral": 1, "polynomial": 2, "matrix": 1, "integer": 2, "prime number": 2, "divisor": 2,
    "divisible": 2, "remainder": 2, "triangle": 2, "perimeter": 2, "radius": 1, "circle": 1,
    "rectangle": 1, "probability": 1, "percent": 1, "how many": 2, "how much": 2, "sum of": 1,
    "product of": 1, "solve for": 2, "simplify": 1, "calculate": 1, "compute": 1, "fraction": 1,
    "square root": 2, "logarithm": 2, "cosine": 2, "degrees": 1, "\\circ": 2, "\\text{": 2,
    "$-": 1, "\\le": 1, "\\ge": 1, "\\mathbf": 2, "\\log": 2, "\\cos": 2, "\\sin": 2,
    "expected value": 2, "twice": 1, "half of": 1, "times as": 1, "average": 1, "coordinates": 1,
    "parallel": 1, "value of": 1, "value of $": 2, "area of": 1, "volume of": 1, "how old": 1,
    "how far": 1, "how long": 1, "digit": 1, "$x": 2, "$y": 1, "$a": 1, "$n": 2, "$f": 1,
    "evaluate": 1, "express": 1, "f(x)": 2, " x ": 1, "=": 1, " + ": 1, "total": 1, "in all": 1,
    "each": 1, "per ": 1, "real number": 2, "modulo": 2, "vector": 1, "digits": 1,
    "altogether": 2, "left": 1,
}  # fmt: skip
