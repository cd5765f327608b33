/* The inside of a mesh as a region that is quick to ask again and again. */
#ifndef MOTE_GEOMETRY_MESH_REGION_H
#define MOTE_GEOMETRY_MESH_REGION_H

#include <mote/mesh.h>

#include "host/geometry/region.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_mesh_region mote_mesh_region;

/* Measures the volume too. MOTE_ERROR_ARGUMENT: the mesh encloses nothing. The mesh is not kept. */
mote_status mote_mesh_region_create(const mote_mesh *mesh, mote_mesh_region **region);
void mote_mesh_region_destroy(mote_mesh_region *region);

/* Valid as long as the mesh region. */
mote_region mote_mesh_region_view(const mote_mesh_region *region);

#ifdef __cplusplus
}
#endif
#endif
