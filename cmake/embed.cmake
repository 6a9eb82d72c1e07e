# Writes INPUT as the C array SYMBOL, with its size in SYMBOL_size, to OUTPUT.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT} "#include <stddef.h>
const unsigned char ${SYMBOL}[] = {${bytes}};
const size_t ${SYMBOL}_size = sizeof(${SYMBOL});
")
