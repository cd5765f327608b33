/* One query of the winding numbers, for the loops of this folder. */
#ifndef MOTE_GEOMETRY_WINDING_H
#define MOTE_GEOMETRY_WINDING_H

#include <mote/mesh.h>

double mote_winding_number(const mote_winding *winding, const double point[3]);

#endif
