/* main.c - the program ptv3. */
#include <stdio.h>

#include "ptv3.h"

int main(void) {
  printf("ptv3: no commands yet; %s\n", ptv3_status_text(PTV3_OK));
  return 2;
}
