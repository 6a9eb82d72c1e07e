# Fills TEMPLATE with the bytes of STYLE and SCRIPT and their hashes, as a
# Content-Security-Policy wants them: OUTPUT is C.

set(BASE64 ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)

# Three bytes, six hexadecimal digits, are four characters. The 32 bytes of a SHA-256 lack one byte:
# a zero stands in for it, and its character becomes the padding.
function(base64_of_sha256 hex ret_base64)
    string(REGEX MATCHALL "......" groups "${hex}00")
    set(base64 "")
    foreach(group IN LISTS groups)
        foreach(shift IN ITEMS 18 12 6 0)
            math(EXPR index "(0x${group} >> ${shift}) & 63")
            string(SUBSTRING ${BASE64} ${index} 1 character)
            string(APPEND base64 ${character})
        endforeach()
    endforeach()
    string(SUBSTRING ${base64} 0 43 base64)
    set(${ret_base64} "${base64}=" PARENT_SCOPE)
endfunction()

# Sets NAME_BYTES and NAME_SHA256.
function(embed name path)
    file(READ ${path} text)
    if(text MATCHES "</(style|script)|<!--|\r")
        message(FATAL_ERROR "${path}: an HTML parser would read \"${CMAKE_MATCH_0}\" as something else")
    endif()
    file(READ ${path} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    file(SHA256 ${path} digest)
    base64_of_sha256(${digest} base64)
    set(${name}_BYTES "${bytes}" PARENT_SCOPE)
    set(${name}_SHA256 "${base64}" PARENT_SCOPE)
endfunction()

embed(STYLE ${STYLE})
embed(SCRIPT ${SCRIPT})
file(READ ${TEMPLATE} template)
string(CONFIGURE "${template}" code @ONLY)
file(WRITE ${OUTPUT} "${code}")
