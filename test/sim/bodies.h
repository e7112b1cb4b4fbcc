/* bodies.h - the simulator's answers to what was recorded, on stdout: `== name status type`, body.
 */
#ifndef SIM_BODIES_H
#define SIM_BODIES_H

#include <stdbool.h>

void bodies_print(bool v1_34);

#endif
