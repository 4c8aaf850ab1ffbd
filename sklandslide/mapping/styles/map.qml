<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="0.8" alphaBand="-1" nodataColor=""
                    classificationMin="0.5" classificationMax="1">
      <rasterTransparency/>
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0" minimumValue="0.5" maximumValue="1" labelPrecision="2">
          <item value="0" label="0" color="#ffffb2" alpha="0"/>
          <item value="0.4999" label="under 0.5" color="#ffffb2" alpha="0"/>
          <item value="0.5" label="0.5" color="#ffffb2" alpha="160"/>
          <item value="0.75" label="0.75" color="#fd8d3c" alpha="220"/>
          <item value="1" label="1" color="#bd0026" alpha="255"/>
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
