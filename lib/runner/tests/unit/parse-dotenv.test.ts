import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseDotenv } from '../../dotenv.ts';

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: the braces are those of the files

function parse(text: string, environment = {}): { [name: string]: string } {
  return Object.fromEntries(parseDotenv(text, environment));
}

test('a # begins a comment at the start of a line and after a blank, and nowhere else', () => {
  const values = {
    'ab#cd': 'ab#cd',
    '#ab': '#ab',
    ' #ab': '',
    'ab #cd': 'ab',
    'ab\t# cd': 'ab',
    '"ab #cd" # e': 'ab #cd',
    "'ab #cd'\t#": 'ab #cd',
    'https://x/#a?b=c#d': 'https://x/#a?b=c#d',
  };
  for (const [written, value] of Object.entries(values)) {
    assert.equal(parse(`# A=1\n  # B='\n\nPASSWORD=${written}\n`), { PASSWORD: value }, written);
  }
});

test('names and values are taken without what stands around them', () => {
  const text =
    '\n  export A = 1  \r\nB=\n export=x\nC_1.d-e=a=b= c\r\nD =  two words \rexport\tE="e"\nF=äöü 😀\u2028';
  const first = { A: '1', B: '', export: 'x', 'C_1.d-e': 'a=b= c' };
  assert.equal(parse(text), { ...first, D: 'two words', E: 'e', F: 'äöü 😀' });
  assert.equal(parse(''), {});
  assert.equal(parse('A=1\nA=2'), { A: '2' });
  assert.equal([...parseDotenv('__proto__=1', {})], [['__proto__', '1']]);
});

test('single quotes are literal, double quotes know escapes, both span lines', () => {
  const values = {
    '\'a\\n$B ${B} "x" `y`\'': 'a\\n$B ${B} "x" `y`',
    '"a\\nb\\r\\"c\\" \\\\n \\$B \\d \\t"': 'a\nb\r"c" \\n $B \\d \\t',
    '"-----\nA=b#c\n\n-----"': '-----\nA=b#c\n\n-----',
    "'1\r\n2'": '1\n2',
    '""': '',
    "it's": "it's",
    'a"b"': 'a"b"',
    '`a`': '`a`',
    'C:\\new\\\\dir': 'C:\\new\\\\dir',
  };
  for (const [written, value] of Object.entries(values))
    assert.equal(parse(`A=${written}\nZ=z`), { A: value, Z: 'z' }, written);
});

test('variables are filled in from the environment, then from the lines above', () => {
  const values: { readonly [written: string]: string } = {
    '${PASSWORD}/x': 'ab#cd/x',
    '$PASSWORD.$SET': 'ab#cd.here',
    '"${PASSWORD} #$SET"': 'ab#cd #here',
    '\\${PASSWORD} \\$SET': '${PASSWORD} $SET',
    $OVERRIDDEN: 'environment',
    '${UNKNOWN}$UNKNOWN_2|': '|',
    $LATER: '',
    'pa$1s$ $- $(id) $$SET': 'pa$1s$ $- $(id) $here',
    '${UNKNOWN:-d e}/${EMPTY:-f}/${EMPTY-g}/${SET:-h}/${UNKNOWN-}': 'd e/f//here/',
    '${UNKNOWN:-${SET}x}-${UNKNOWN:-$SET}': 'herex-here',
    $toString: '',
    $RAW: '$SET \\n',
    $VALUE: '',
  };
  for (const [written, value] of Object.entries(values)) {
    const text = `PASSWORD=ab#cd\nOVERRIDDEN=file\nEMPTY=\nRAW='$SET \\n'\nVALUE=${written}\nLATER=1`;
    assert.is(parse(text, { SET: 'here', OVERRIDDEN: 'environment' }).VALUE, value, written);
  }
  assert.equal(parse('A=$B\nB=$A'), { A: '', B: '' }, 'a circle');
  assert.equal(parse('P=$P:/x', { P: '/y' }), { P: '/y:/x' });
});

test('reports an invalid line by its number, never by its content', () => {
  const throws = (text: string, message: string): void =>
    assert.throws(() => parse(text), new RegExp(`^${message.replace(/[${}]/g, '\\$&')}$`), text);
  const unread = 'is not NAME=value, or its closing quote is missing or not at the end';
  throws('A=1\n\nhunter2\n', `line 3 ${unread}`);
  for (const line of ['export A', '=1', 'A B=1', 'ä=1', 'A: 1', '$A=1'])
    throws(`${line}\nB=1`, `line 1 ${unread}`);
  for (const text of ['A="b', "A='b\nB=1", 'A="b\\"', 'A="b"c', "A= 'b' c", 'A="b"#c', "A=''''"])
    throws(`A="\n"\r\n${text}`, `line 3 ${unread}`);
  for (const text of ['A=${', 'A=${B', 'A="${}"', 'A=${B?x}', 'A=${1}', 'A=${B:-${C}'])
    throws(text, 'line 1 has a `${` that is neither ${NAME} nor ${NAME:-default}');
});

// biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above
test.run();
