#pragma once

/*
 * Page assets: server/page/page.css and page.js as they are, for a document that
 * needs nothing else, and the Content-Security-Policy that allows just these two
 * by their hashes. page_assets.c is generated: cmake/embed_page.cmake.
 */

#include "common/base/str.h"

extern const struct str page_style;  /* all between <style> and </style> */
extern const struct str page_script; /* all between <script ...> and </script> */
extern const struct str page_policy;
